// The link's listening side as the plane runs it: gRPC over mTLS, messages in a database beside the plane's own.
import { join } from "node:path";
import { Secret } from "#core";
import { grpcListen, openHub } from "#tunnel";
import type { OpenHub } from "./start.ts";

export const openGrpcHub: OpenHub = async ({ dataDir, listen, tls, allow }, { clock, log, random }) => {
  const hub = await openHub(
    {
      clock,
      log,
      random,
      database: join(dataDir, "link.db"),
      listen: grpcListen({ ...listen, cert: tls.cert, key: new Secret(tls.key), ca: tls.ca, log }),
    },
    { allow },
    new AbortController().signal, // the plane closes it
  );
  return { hub, address: { host: listen.host, port: hub.port } };
};

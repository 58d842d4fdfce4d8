// The plane's end of the link, over gRPC with mutual TLS.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "#core";
import { grpcListen, openHub } from "#tunnel";
import type { OpenHub } from "./start.ts";

export const openGrpcHub: OpenHub = async (
  { dataDir, listen, tls, allow, software },
  { clock, log, random },
) => {
  const listening = grpcListen({ ...listen, cert: tls.cert, key: new Secret(tls.key), ca: tls.ca, log });
  const database = join(dataDir, "link.db");
  const fresh = await stat(database).then(
    () => false,
    () => true,
  );
  const never = new AbortController().signal; // closed by its owner
  const options = { allow, ...(software ? { software } : {}) };
  const hub = await openHub({ clock, log, random, database, listen: listening }, options, never);
  return { hub, address: { host: listen.host, port: hub.port }, fresh };
};

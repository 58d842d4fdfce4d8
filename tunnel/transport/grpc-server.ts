// Takes the lines of gateways and agents over gRPC. The client certificate must be signed by `ca`, and says who it is.
import { Server, ServerCredentials, status as codes, type ServerDuplexStream } from "@grpc/grpc-js";
import { Fault, type Logger, type Secret } from "#core";
import {
  TunnelServiceService,
  type AttachRequest,
  type AttachResponse,
} from "#proto/generated/tunnel/link.ts";
import type { PeerIdentity } from "../link.ts";
import { commonOptions, GrpcLine, warnOfWindows } from "./grpc-line.ts";
import { raiseServerWindows } from "./grpc-windows.ts";
import { identityOf } from "./identity.ts";
import { maxFrameBytes, type AcceptedTransport, type Listen } from "./transport.ts";

export interface GrpcListenOptions {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** PEM, the chain included. */
  readonly cert: string;
  readonly key: Secret;
  /** Who signs clients' certificates; PEM. */
  readonly ca: string;
  readonly log?: Logger;
}

/** How long after a stream's end its reset may be told. */
const resetMs = 20;

type Call = ServerDuplexStream<AttachRequest, AttachResponse>;

export function grpcListen(options: GrpcListenOptions): Listen {
  return async (accept) => {
    const server = new Server({ ...commonOptions(maxFrameBytes), "grpc.max_concurrent_streams": 16 });
    server.addService(TunnelServiceService, { attach: (call: Call) => take(call, accept) });
    const raise = raiseServerWindows(server);
    const host = options.host.includes(":") ? `[${options.host}]` : options.host;
    const credentials = ServerCredentials.createSsl(
      Buffer.from(options.ca),
      [{ cert_chain: Buffer.from(options.cert), private_key: Buffer.from(options.key.reveal()) }],
      true,
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync(`${host}:${options.port}`, credentials, (error, bound) => {
        if (!error) return resolve(bound);
        const what = `listening for gateways on ${host}:${options.port}: ${error.message}`;
        reject(new Fault("Unavailable", what, { cause: error }));
      }),
    );
    warnOfWindows(options.log, raise());
    return {
      port,
      close() {
        server.forceShutdown(); // the hub has ended its sessions in order before
        return Promise.resolve();
      },
    };
  };
}

function take(call: Call, accept: (line: AcceptedTransport) => void): void {
  let identity: PeerIdentity;
  try {
    const certificate = call.getAuthContext()?.sslPeerCertificate;
    if (!certificate) throw new Fault("Unauthorized", "no client certificate");
    identity = identityOf(certificate);
  } catch (error) {
    call.emit("error", { code: codes.UNAUTHENTICATED, details: Fault.from(error).message });
    return;
  }
  const line = new GrpcLine(call, (why) => {
    call.emit("error", { code: codes.UNAVAILABLE, details: why?.message ?? "the plane closed the line" });
  });
  let over = false;
  call.on("end", () => {
    // A reset ends the stream as well, and says so a moment later: only an end without one is orderly.
    setTimeout(() => {
      if (!over) line.end();
    }, resetMs);
  });
  call.on("finish", () => line.closed(undefined));
  call.on("cancelled", () => {
    over = true;
    line.closed(new Fault("Unavailable", "the peer closed the line"));
  });
  call.on("error", () => {}); // answered by grpc-js; without a listener of ours it would still be, but be sure
  accept(Object.assign(line, { identity }));
}

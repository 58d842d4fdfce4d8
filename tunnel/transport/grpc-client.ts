// Dials the plane over gRPC with mutual TLS. Every dial is its own connection with freshly asked credentials, so a renewed
// certificate is used from the next connection on.
import { credentials as tls, status as codes, type StatusObject, type ServiceError } from "@grpc/grpc-js";
import { isIP } from "node:net";
import { checkServerIdentity, createSecureContext } from "node:tls";
import { Fault, type Secret } from "#core";
import { TunnelServiceClient } from "#proto/generated/tunnel/link.ts";
import { explain } from "./grpc-explain.ts";
import { commonOptions, GrpcLine, windowBytes } from "./grpc-line.ts";
import { maxFrameBytes, type Dial } from "./transport.ts";

/** What a side shows, and whom it trusts. All PEM; `ca` may hold several certificates. */
export interface TlsCredentials {
  readonly cert: string;
  readonly key: Secret;
  readonly ca: string;
}

export interface GrpcDialOptions {
  /** host:port of the plane's tunnel endpoint. */
  readonly address: string;
  /** Asked at each dial. A rejection counts as a failed dial. */
  readonly credentials: () => Promise<TlsCredentials>;
  /** The name the plane's certificate must carry, if it is not the address'. */
  readonly serverName?: string;
}

/** The line is handed out before it is connected; if it cannot be, it closes, with the reason. */
export function grpcDial(options: GrpcDialOptions): Dial {
  return async (signal) => {
    const { cert, key, ca } = await options.credentials();
    if (signal.aborted) throw new Fault("Cancelled", "dialling was cancelled");
    const host = options.serverName ?? hostOf(options.address);
    const client = new TunnelServiceClient(options.address, channelCredentials({ cert, key, ca }, host), {
      ...commonOptions(maxFrameBytes),
      "grpc-node.flow_control_window": windowBytes,
      "grpc.use_local_subchannel_pool": 1, // a socket of its own
      "grpc.enable_retries": 0, // a retry would replay frames
      "grpc.enable_http_proxy": 0, // never by the environment's say-so: see proto/tunnel/SPEC.md, X4
      "grpc.service_config_disable_resolution": 1,
      "grpc.ssl_target_name_override": isIP(host) ? "plane.invalid" : host, // an address may not stand in SNI (RFC 6066)
    });
    const call = client.attach();
    const line = new GrpcLine(call, () => call.cancel());
    let over: StatusObject | undefined;
    let ended = false;
    const settle = () => {
      if (!over) return;
      if (over.code !== codes.OK) line.closed(faultOf(over, options.address));
      else if (ended) line.closed(undefined);
      else return; // the rest is still to be read
      client.close();
    };
    call.on("end", () => {
      ended = true;
      settle();
    });
    call.on("error", (error: ServiceError) => {
      over ??= error;
      settle();
    });
    call.on("status", (status: StatusObject) => {
      over ??= status;
      settle();
    });
    return line;
  };
}

function hostOf(address: string): string {
  return address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}

function channelCredentials({ cert, key, ca }: TlsCredentials, host: string) {
  try {
    const context = createSecureContext({ ca, key: key.reveal(), cert, minVersion: "TLSv1.3" });
    return tls.createFromSecureContext(context, {
      checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
    });
  } catch (error) {
    // OpenSSL's words say nothing of the key itself.
    throw new Fault("Invalid", "the link's certificate, key or CA cannot be used; pair again", {
      cause: error,
    });
  }
}

function faultOf(status: Pick<StatusObject, "code" | "details">, address: string): Fault {
  const code = status.code === codes.UNAUTHENTICATED ? "Unauthorized" : "Unavailable";
  return new Fault(code, `the plane at ${address}: ${explain(status.details)}`);
}

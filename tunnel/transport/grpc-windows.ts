// The one place that reaches into @grpc/grpc-js: its server has no option for HTTP/2's receive windows (grpc/grpc-node#3058), so
// a plane would take 64 KiB per round trip from each gateway. Two private fields of version 1.14.7 are used if they are there;
// if they are not, nothing breaks and the caller is told.
import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { windowBytes } from "./grpc-line.ts";

interface Insides {
  commonServerOptions?: { settings?: Record<string, number> };
  http2Servers?: Map<Http2Server, unknown>;
}

/** Call before binding; call the answer after it: it says whether new connections will have the windows. */
export function raiseServerWindows(server: Server): () => boolean {
  const insides = server as unknown as Insides;
  const options = insides.commonServerOptions;
  if (typeof options === "object") options.settings = { ...options.settings, initialWindowSize: windowBytes };
  return () => {
    const servers = insides.http2Servers;
    if (typeof options !== "object" || !(servers instanceof Map) || servers.size === 0) return false;
    for (const http2 of servers.keys()) {
      http2.on("session", (session: ServerHttp2Session) => session.setLocalWindowSize(windowBytes));
    }
    return true;
  };
}

// The door of the tunnel. In-memory lines and helpers for tests: #tunnel/testing.ts.
export * from "./link.ts";
export { openLink, type LinkDeps, type LinkOptions } from "./client/link.ts";
export { openHub, type HubDeps, type HubOptions } from "./server/hub.ts";
export type { TunnelOptions } from "./options.ts";
export type { AcceptedTransport, Dial, Listen, Listener, Transport } from "./transport/transport.ts";
export { grpcDial, type GrpcDialOptions, type TlsCredentials } from "./transport/grpc-client.ts";
export { grpcListen, type GrpcListenOptions } from "./transport/grpc-server.ts";

// Every option of the plane, told once: flags, PCG_* environment, plane.yaml, help and the reference page come from this value.
import {
  duration,
  group,
  hostPort,
  list,
  oneOf,
  option,
  path,
  text,
  url,
  type Infer,
} from "#core/options/index.ts";

export const planeOptions = group({
  dataDir: option(path(), {
    help: "Folder for state and keys; made with mode 0700.",
    default: "./pcg-plane",
  }),
  listen: option(hostPort(8443), {
    help: "Where the REST face listens, with a certificate of the plane's own authority.",
    default: "127.0.0.1:8443",
  }),
  tunnelListen: option(hostPort(8444), {
    help: "Where gateways and agents dial in.",
    default: "127.0.0.1:8444",
  }),
  publicUrl: option(url(), {
    help: "How gateways and agents reach the REST face; made from listen when absent.",
    optional: true,
  }),
  publicTunnel: option(hostPort(8444), {
    help: "How they reach the link; made from publicUrl and tunnelListen when absent.",
    optional: true,
  }),
  names: option(list(text("NAME")), {
    help: "More names and addresses for the plane's certificates.",
    optional: true,
  }),
  trustedProxies: option(list(text("ADDRESS")), {
    help: "Addresses or CIDRs of reverse proxies in front of the plane, whose X-Forwarded-For is believed.",
    optional: true,
  }),
  tenantName: option(text("NAME"), { help: "What the first tenant is called.", default: "default" }),
  pairingTtl: option(duration({ min: "10s", max: "24h" }), {
    help: "How long a pairing code is good.",
    default: "15m",
  }),
  certificateLife: option(duration({ min: "10m", max: "90d" }), {
    help: "How long the certificates of gateways and agents last; they renew them at two thirds.",
    default: "7d",
  }),
  health: group(
    {
      unhealthyAfter: option(duration({ min: "5s", max: "1h" }), {
        help: "Silence after which a gateway counts as unhealthy.",
        default: "60s",
      }),
      alertAfter: option(duration({ min: "5s", max: "24h" }), {
        help: "Silence after which it is reported as lost.",
        default: "10m",
      }),
    },
    "Heartbeats that do not come.",
  ),
  log: group({
    level: option(oneOf("debug", "info", "warn", "error"), { help: "How much to log.", default: "info" }),
  }),
});

export type PlaneSettings = Infer<typeof planeOptions>;

// Every option of the gateway, told once: flags, PCG_* environment, gateway.yaml, OVF properties, help and the reference page
// (docs/reference/gateway-options.md) all come from this value.
import {
  duration,
  group,
  hostPort,
  oneOf,
  option,
  path,
  secret,
  secretFile,
  text,
  url,
  type Infer,
} from "#core/options/index.ts";

export const gatewayOptions = group({
  name: option(text("NAME"), {
    help: "What the gateway is called at the plane.",
    ovf: "Gateway name",
    default: "gateway",
  }),
  dataDir: option(path(), {
    help: "Folder for state, keys and the local kubeconfig; made with mode 0700.",
    default: "./pcg-gateway",
  }),
  plane: group(
    {
      url: option(url(), { help: "Address of the plane.", ovf: "Plane address" }),
      ca: option(path(), {
        help: "File with the plane's certificate authority, PEM. Without it the pairing code alone protects the pairing.",
        optional: true,
      }),
      pairingCode: option(secret(), {
        help: "Pairing code; used once, when there is no identity yet. `pcg gateway pair CODE` does the same by hand.",
        ovf: "Pairing code",
        optional: true,
      }),
      heartbeat: option(duration({ min: "1s", max: "10m" }), {
        help: "Time between heartbeats to the plane.",
        default: "30s",
      }),
    },
    "The management plane, which the gateway dials.",
  ),
  vcenter: group(
    {
      server: option(hostPort(443), {
        help: "vCenter's host, or host:port, without https://.",
        ovf: "vCenter address",
      }),
      username: option(text("USER"), { help: "User that the gateway logs in as.", ovf: "vCenter user" }),
      password: option(secret(), {
        help: "Its password; better in passwordFile.",
        ovf: "vCenter password",
        optional: true,
      }),
      passwordFile: option(secretFile(), { help: "File with the password.", optional: true }),
      thumbprint: option(text("SHA-256"), {
        help: "SHA-256 of vCenter's certificate, in hex with colons. One of thumbprint and ca is needed.",
        ovf: "vCenter certificate SHA-256",
        optional: true,
      }),
      ca: option(path(), { help: "File with the certificate authority of vCenter, PEM.", optional: true }),
    },
    "The vCenter whose clusters the gateway builds. The credentials never leave the gateway's site.",
  ),
  controlPlane: group(
    {
      mode: option(oneOf("sandbox", "external"), {
        help: "sandbox: an embedded store, Cluster API is simulated by `pcg sandbox`; external: an existing management cluster.",
        default: "sandbox",
      }),
      kubeconfig: option(path(), {
        help: "Kubeconfig of the management cluster, for mode external.",
        optional: true,
      }),
    },
    "Where the Cluster API objects live until the pivot.",
  ),
  api: group(
    {
      listen: option(hostPort(5080), {
        help: "Where the local API listens (mode sandbox).",
        default: "127.0.0.1:5080",
      }),
    },
    "The local API for kubectl and pcg.",
  ),
  jet: group(
    {
      quiet: option(duration({ max: "5m" }), {
        help: "How long a cluster's objects must lie still before a pivot copies them.",
        default: "2s",
      }),
      watch: option(duration({ max: "1h" }), {
        help: "How long a pivot is watched after the hand-over.",
        default: "10s",
      }),
      deadAfter: option(duration({ max: "7d" }), {
        help: "How long the API of a cluster that is being deleted must be silent before its VMs are removed by the ledger.",
        default: "15m",
      }),
    },
    "Provisioning, pivot and deletion.",
  ),
  log: group({
    level: option(oneOf("debug", "info", "warn", "error"), { help: "How much to log.", default: "info" }),
  }),
});

export type GatewayOptions = Infer<typeof gatewayOptions>;

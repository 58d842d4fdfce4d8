// Every option of the gateway, told once: flags, PCG_* environment, gateway.yaml, OVF properties, help and the reference page
// (docs/reference/gateway-options.md) all come from this value.
import {
  duration,
  group,
  hostPort,
  integer,
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
      mode: option(oneOf("sandbox", "embedded", "external"), {
        help:
          "sandbox: an embedded store, Cluster API is simulated by `pcg sandbox`; embedded: etcd, kube-apiserver, Cluster API and CAPV " +
          "as processes of the gateway; external: an existing management cluster.",
        default: "sandbox",
      }),
      programs: option(path(), {
        help: "Folder with the programs of mode embedded and their manifest.json; the appliance ships it. In mode external, what workload clusters get is rendered from it.",
        optional: true,
      }),
      kubeconfig: option(path(), {
        help: "Kubeconfig of the management cluster, for mode external.",
        optional: true,
      }),
      snapshots: group({
        every: option(duration({ min: "1m", max: "24h" }), {
          help: "Time between snapshots of etcd, mode embedded; none is made when nothing has changed.",
          default: "30m",
        }),
        keep: option(integer({ min: 1, max: 1000 }), {
          help: "How many snapshots are kept; the oldest go first.",
          default: "10",
        }),
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
      images: group(
        {
          registry: option(text("REGISTRY"), {
            help: "Registry, perhaps with a path, that mirrors registry.k8s.io and ghcr.io for workload clusters: registry.example/mirror.",
            optional: true,
          }),
          pullSecretFile: option(path(), {
            help: "File with the registry's logins: a Docker config, as in ~/.docker/config.json.",
            optional: true,
          }),
          agent: option(text("IMAGE"), {
            help: "Image of the agent in workload clusters.",
            default: "pcg-agent",
          }),
        },
        "Images of what runs in workload clusters. A cluster's own wish goes before them.",
      ),
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

// Options of `pcg ipam run`. Names as people know them from the managers it stands in for.
import {
  boolean,
  group,
  hostPort,
  integer,
  list,
  oneOf,
  option,
  path,
  secret,
  secretFile,
  text,
  type Infer,
} from "#core/options/index.ts";

export const ipamOptions = group({
  kubeconfig: option(path(), {
    help: "Kubeconfig of the API server to work on; the pod's own service account unless told.",
    env: "KUBECONFIG",
    optional: true,
  }),
  kinds: option(list(text("KIND")), {
    help: "Which parts to run: in-cluster, metal3, static. Unless told, those whose kinds the API server has.",
    optional: true,
  }),
  namespace: option(text("NAMESPACE"), {
    help: "Work in this namespace only; all unless told.",
    optional: true,
  }),
  watchFilter: option(text("VALUE"), {
    help: "Serve only claims and pools whose label cluster.x-k8s.io/watch-filter has this value.",
    optional: true,
  }),
  leaderElect: option(boolean(), {
    help: "Of several such processes let one act. It then needs no reservations: two writes less for every address.",
    default: "false",
  }),
  leaderElectionNamespace: option(text("NAMESPACE"), {
    help: "Where the lease of the lead lies, and the certificate of the webhooks; the pod's own namespace unless told.",
    optional: true,
  }),
  webhookPort: option(integer({ min: 0, max: 65_535 }), {
    help: "Port of the webhooks; 0 serves none.",
    default: "9443",
  }),
  webhookCertDir: option(path(), {
    help: "Folder with tls.crt and tls.key for the webhooks, read again when they change. Without one, a certificate is made and renewed, and its authority written into the webhook configurations.",
    optional: true,
  }),
  webhookService: option(text("NAMESPACE/NAME"), {
    help: "The Service by which the API server reaches the webhooks.",
    default: "pcg-ipam-system/pcg-ipam-webhook",
  }),
  webhookUrl: option(text("URL"), {
    help: "https://host:port by which the API server reaches the webhooks, where there is no Service: they are registered so.",
    optional: true,
  }),
  diagnosticsAddress: option(text("HOST:PORT"), {
    help: 'Where metrics are served, in plain HTTP; "0" serves none.',
    default: "127.0.0.1:8080",
  }),
  healthAddr: option(text("HOST:PORT"), {
    help: 'Where /healthz and /readyz are served; ":8081" is any address, "0" serves none.',
    default: ":8081",
  }),
  dataDir: option(path(), {
    help: "Folder for the history of who had an address when (`pcg ip history --data`); made when absent. Without one it is kept in memory and lost at a restart.",
    optional: true,
  }),
  vcenter: group(
    {
      server: option(hostPort(443), {
        help: "vCenter's host, or host:port, without https://. With it a static address is free again when vCenter has neither a VM of the machine's name nor one that reports the address, and machines that use addresses which nobody gave them are reported.",
        optional: true,
      }),
      username: option(text("USER"), { help: "User to log in as; reading is enough.", optional: true }),
      password: option(secret(), { help: "Its password; better in passwordFile.", optional: true }),
      passwordFile: option(secretFile(), { help: "File with the password.", optional: true }),
      thumbprint: option(text("SHA-256"), {
        help: "SHA-256 of vCenter's certificate, in hex with colons.",
        optional: true,
      }),
      ca: option(path(), { help: "File with the certificate authority of vCenter, PEM.", optional: true }),
      accountDir: option(path(), {
        help: "Folder with files SERVER, USERNAME, PASSWORD and THUMBPRINT or CA (PEM) instead of these options: a Secret that is mounted. It may come later.",
        optional: true,
      }),
    },
    "The vCenter of CAPV's machines, for static addresses. Files are read anew whenever vCenter is asked: a change needs no restart. Without a vCenter, CAPV's VSphereVM objects tell whether a machine is gone.",
  ),
  log: group({
    level: option(oneOf("debug", "info", "warn", "error"), { help: "How much to log.", default: "info" }),
  }),
});

export type IpamSettings = Infer<typeof ipamOptions>;

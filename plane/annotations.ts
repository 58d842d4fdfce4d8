/** Annotations of the entity that say what Palette's fields cannot. */
export const annotations = {
  /** Which gateway; Palette's own name. */
  overlordUid: "overlordUid",
  /** "1.35.4" or "v1.35.4"; goes before a profile's pack called kubernetes. */
  kubernetesVersion: "pcg.dev/kubernetes-version",
  /** Inventory name or path of the template; found by version when absent. */
  imageTemplate: "pcg.dev/image-template",
  podCidr: "pcg.dev/pod-cidr",
  serviceCidr: "pcg.dev/service-cidr",
  /** An etcd of the site in place of one on the control plane: its addresses, comma separated ("https://10.0.0.5:2379"), ... */
  etcdEndpoints: "pcg.dev/etcd-endpoints",
  /** ... and the Secret on the gateway with ca.crt, tls.crt and tls.key to reach it. Only its name is ever at the plane. */
  etcdSecret: "pcg.dev/etcd-secret",
  /** Comma separated, at most three. */
  nameservers: "pcg.dev/nameservers",
} as const;

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
  /** Comma separated, at most three. */
  nameservers: "pcg.dev/nameservers",
} as const;

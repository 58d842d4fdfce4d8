// What the static-IP controller for CAPV reads from and writes to objects, and what ours adds (ipam.pcg.dev/...).

/** On a machine template or VSphereCluster: the pool by name, in the cluster's namespace. */
export const poolNameLabel = "cluster.x-k8s.io/ip-pool-name";
/** On those and on pools: equal ones belong together. */
export const poolGroupLabel = "cluster.x-k8s.io/ip-pool-group";
export const networkLabel = "cluster.x-k8s.io/network-name";
/** On a Cluster: where pools are looked for by labels. */
export const poolNamespaceAnnotation = "cluster.x-k8s.io/ip-pool-namespace";
/** On a pool: search domains, with commas. */
export const searchDomainsAnnotation = "cluster.x-k8s.io/dns-search-domains";
/** On a VSphereMachine: the name of its template. */
export const templateAnnotation = "cluster.x-k8s.io/cloned-from-name";

/** On a machine template or VSphereCluster: pools in the order in which they are tried, with commas: "edge-a, infra/edge-b". */
export const poolsAnnotation = "ipam.pcg.dev/ip-pools";
/** On a pool: it serves only machines of this failure domain. */
export const zoneLabel = "ipam.pcg.dev/zone";
/** On a pool whose kind has no field for them: name servers, with commas. */
export const nameServersAnnotation = "ipam.pcg.dev/dns-servers";

/** On claims of ours: what they are for. */
export const subjectKindLabel = "ipam.pcg.dev/static-for";
export const subjectAnnotation = "ipam.pcg.dev/static-for";

/** Lists written with commas. Pure. */
export function listed(text: string | undefined): string[] {
  return (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);
}

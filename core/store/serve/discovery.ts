// What is served, told to clients that ask: the lists of groups, versions and resources, plain and aggregated. Pure.
// Shapes: k8s.io/apimachinery meta/v1 (APIGroup, APIResourceList), k8s.io/api/apidiscovery/v2.
import { apiVersionOf, type Kind } from "../../resource/kind.ts";
import { isBuiltIn, type ServedKinds } from "./kinds.ts";

/** In the order in which a Kubernetes API server lists them, which differs between its own kinds and custom ones. */
const builtInVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const customVerbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const verbsOf = (kind: Kind) => (isBuiltIn(kind) ? builtInVerbs : customVerbs);
const statusVerbs = ["get", "patch", "update"] as const;

/** Things one may create and never store: questions about oneself. Served beside the kinds. */
export const reviews = [
  {
    group: "authorization.k8s.io",
    version: "v1",
    kind: "SelfSubjectAccessReview",
    plural: "selfsubjectaccessreviews",
  },
  {
    group: "authorization.k8s.io",
    version: "v1",
    kind: "SelfSubjectRulesReview",
    plural: "selfsubjectrulesreviews",
  },
  { group: "authentication.k8s.io", version: "v1", kind: "SelfSubjectReview", plural: "selfsubjectreviews" },
] as const;

type Version = {
  readonly version: string;
  readonly kinds: readonly Kind[];
  readonly reviews: readonly Review[];
};
type Review = (typeof reviews)[number];
type Group = { readonly name: string; readonly versions: readonly Version[] };

/** All groups with their versions, the core group first where there is one. */
function groupsOf(served: ServedKinds): Group[] {
  const names = new Map(served.groups.map(({ name, versions }) => [name, [...versions]]));
  for (const { group, version } of reviews) {
    const versions = names.get(group) ?? [];
    if (!versions.includes(version)) names.set(group, [...versions, version]);
  }
  return [...names]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, versions]) => ({
      name,
      versions: versions.map((version) => versionOf(served, name, version)),
    }));
}

function versionOf(served: ServedKinds, group: string, version: string): Version {
  const asked = reviews.filter((review) => review.group === group && review.version === version);
  return { version, kinds: served.of(group, version), reviews: asked };
}

/** GET /api: the versions of the core group. */
export function coreVersions(host: string): unknown {
  return {
    kind: "APIVersions",
    versions: ["v1"],
    serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: host }],
  };
}

/** GET /apis: all groups but the core one. */
export function groupList(served: ServedKinds): unknown {
  const groups = groupsOf(served).filter(({ name }) => name !== "");
  return { kind: "APIGroupList", apiVersion: "v1", groups: groups.map(groupBody) };
}

/** GET /apis/GROUP, or undefined when there is none of that name. */
export function group(served: ServedKinds, name: string): unknown {
  const found = groupsOf(served).find((each) => each.name === name && name !== "");
  return found && { kind: "APIGroup", apiVersion: "v1", ...groupBody(found) };
}

function groupBody({ name, versions }: Group) {
  const all = versions.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: all, preferredVersion: all[0] };
}

/** GET /api/v1 or /apis/GROUP/VERSION, or undefined when nothing of it is served. /api/v1 is always there, be it empty. */
export function resourceList(served: ServedKinds, groupName: string, version: string): unknown {
  const { kinds, reviews: asked } = versionOf(served, groupName, version);
  const core = groupName === "" && version === "v1";
  if (kinds.length + asked.length === 0 && !core) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: apiVersionOf({ group: groupName, version }),
    resources: [...kinds.flatMap(resources), ...asked.map(reviewResource)],
  };
}

function resources(kind: Kind): unknown[] {
  const main = {
    name: kind.plural,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs: verbsOf(kind),
    ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
  };
  if (!kind.hasStatus) return [main];
  const { namespaced, kind: name } = kind;
  return [
    main,
    { name: `${kind.plural}/status`, singularName: "", namespaced, kind: name, verbs: statusVerbs },
  ];
}

function reviewResource({ kind, plural }: Review): unknown {
  return { name: plural, singularName: kind.toLowerCase(), namespaced: false, kind, verbs: ["create"] };
}

/** The aggregated form that current clients ask for by Accept: everything below /api (`core`) or below /apis in one document. */
export function aggregated(served: ServedKinds, core: boolean): unknown {
  const groups = groupsOf(served).filter(({ name }) => (name === "") === core);
  const items = groups.map(({ name, versions }) => ({
    metadata: name === "" ? { creationTimestamp: null } : { name, creationTimestamp: null },
    versions: versions.map(({ version, kinds, reviews: asked }) => ({
      version,
      resources: [...kinds.map(aggregatedResource), ...asked.map(aggregatedReview)],
      freshness: "Current",
    })),
  }));
  return { kind: "APIGroupDiscoveryList", apiVersion: "apidiscovery.k8s.io/v2", metadata: {}, items };
}

function aggregatedResource(kind: Kind): unknown {
  const responseKind = { group: kind.group, version: kind.version, kind: kind.kind };
  return {
    resource: kind.plural,
    responseKind,
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs: verbsOf(kind),
    ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
    ...(kind.hasStatus
      ? { subresources: [{ subresource: "status", responseKind, verbs: statusVerbs }] }
      : {}),
  };
}

function aggregatedReview({ group: name, version, kind, plural }: Review): unknown {
  return {
    resource: plural,
    responseKind: { group: name, version, kind },
    scope: "Cluster",
    singularResource: kind.toLowerCase(),
    verbs: ["create"],
  };
}

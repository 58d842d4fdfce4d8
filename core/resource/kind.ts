import type { Problem } from "../fault.ts";
import type { Resource } from "./meta.ts";

/** A column that tables (kubectl's and ours) show for a kind. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  /** A path as in a CRD: ".spec.poolRef.name", ".status.conditions[?(@.type=='Ready')].status". */
  readonly jsonPath: string;
  readonly description?: string;
  /** 0 shows always; 1 and more only with `-o wide`. */
  readonly priority?: number;
}

/**
 * What the store and its faces must know of a kind. One value per kind, made in `proto/kinds` (or below, in tests).
 * `R` is the type of its objects; nothing at run time depends on it.
 */
export interface Kind<R extends Resource = Resource> {
  /** "" for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** True where status is a subresource: `update` leaves it alone, `updateStatus` changes nothing else. */
  readonly hasStatus: boolean;
  readonly printerColumns: readonly PrinterColumn[];
  /** OpenAPI v3 schema of the whole object, for discovery and CRDs; absent for kinds that accept anything. */
  readonly schema?: Readonly<Record<string, unknown>>;
  /**
   * Defaults and validation, as an API server does them on create and update: returns the object with defaults filled in,
   * or every mistake found. Absent: anything is accepted.
   */
  readonly admit?: (
    object: Resource,
  ) => { readonly object: Resource } | { readonly problems: readonly Problem[] };
  /** Never set; carries R for the compiler. */
  readonly _type?: R;
}

export type ResourceOf<K> = K extends Kind<infer R> ? R : never;

/** A kind from its parts, with Kubernetes' usual defaults: singular is the kind in lower case, namespaced, status a subresource. */
export function defineKind<R extends Resource = Resource>(
  parts: Pick<Kind, "group" | "version" | "kind" | "plural"> & Partial<Omit<Kind<R>, "_type">>,
): Kind<R> {
  return {
    singular: parts.kind.toLowerCase(),
    shortNames: [],
    categories: [],
    namespaced: true,
    hasStatus: true,
    printerColumns: [],
    ...parts,
  };
}

/** "ipam.cluster.x-k8s.io/v1beta2", or "v1" for the core group. */
export function apiVersionOf(kind: Pick<Kind, "group" | "version">): string {
  return kind.group ? `${kind.group}/${kind.version}` : kind.version;
}

/** "clusters.cluster.x-k8s.io", or "secrets" for the core group: a CRD's name, and the store's name for the kind. */
export function groupResource(kind: Pick<Kind, "group" | "plural">): string {
  return kind.group ? `${kind.plural}.${kind.group}` : kind.plural;
}

export function parseApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const slash = apiVersion.indexOf("/");
  return slash < 0
    ? { group: "", version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

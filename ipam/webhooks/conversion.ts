// v1alpha1 of the address pools, and back. Facts: the older version has a subnet, a start and an end beside its list, and knows nothing
// of excluded or reserved addresses and of the grace period.
//
//   X1. What one version cannot say is kept in an annotation, so that whoever reads and writes v1alpha1 loses nothing of v1alpha2
//       (upstream loses it), and gets its own words back as long as they still say the same.
//   X2. Nothing but spec, status, apiVersion and that annotation changes.
import type { Resource } from "#core";
import type { PoolSpec } from "#proto";
import { formatAddress } from "../address.ts";
import { parseEntry } from "../ranges.ts";

/** Where Cluster API's own conversions keep what would be lost. */
export const conversionAnnotation = "cluster.x-k8s.io/conversion-data";

export interface OldPoolSpec {
  addresses?: string[];
  subnet?: string;
  start?: string;
  end?: string;
  prefix?: number;
  gateway?: string;
}

interface Kept {
  readonly spec?: OldPoolSpec | Partial<PoolSpec>;
}

/** v1alpha1 as v1alpha2. Pure. */
export function upgrade(object: Resource): Resource {
  const old = (object as { spec?: OldPoolSpec }).spec ?? {};
  const kept = keptIn(object)?.spec as Partial<PoolSpec> | undefined;
  const spec: PoolSpec = { ...newer(old), ...onlyNew(kept) };
  return rewritten(object, "v1alpha2", spec, isMoreThanItsAddresses(old) ? { spec: old } : undefined);
}

/** v1alpha2 as v1alpha1. Pure. */
export function downgrade(object: Resource): Resource {
  const { spec } = object as Resource & { spec: PoolSpec };
  const kept = keptIn(object)?.spec as OldPoolSpec | undefined;
  const plain: OldPoolSpec = {
    addresses: spec.addresses,
    prefix: spec.prefix,
    ...(spec.gateway === undefined ? {} : { gateway: spec.gateway }),
  };
  const says = (words: OldPoolSpec) => {
    const { addresses, prefix, gateway } = newer(words);
    return JSON.stringify([addresses, prefix, gateway ?? ""]);
  };
  const isSame = kept !== undefined && says(kept) === says(plain);
  const extra = onlyNew(spec);
  return rewritten(
    object,
    "v1alpha1",
    isSame ? kept : plain,
    Object.keys(extra).length > 0 ? { spec: extra } : undefined,
  );
}

/** The older words in the newer way. */
function newer({ addresses = [], subnet, start, end, prefix = 0, gateway }: OldPoolSpec): PoolSpec {
  const network = subnet === undefined ? undefined : parseEntry(subnet);
  const at = (value: bigint) => (network ? formatAddress({ family: network.family, value }) : "");
  const first = start ?? (network ? at(network.low + 1n) : undefined);
  const last = end ?? (network ? at(network.high - 1n) : undefined);
  return {
    addresses: first && last ? [...addresses, `${first}-${last}`] : [...addresses],
    prefix: prefix === 0 && subnet?.includes("/") ? Number(subnet.slice(subnet.indexOf("/") + 1)) : prefix,
    ...(gateway ? { gateway } : {}),
  };
}

function onlyNew(spec: Partial<PoolSpec> = {}): Partial<PoolSpec> {
  const { allocateReservedIPAddresses, excludedAddresses, addressReuseGracePeriodSeconds } = spec;
  return {
    ...(allocateReservedIPAddresses === undefined ? {} : { allocateReservedIPAddresses }),
    ...(excludedAddresses === undefined ? {} : { excludedAddresses }),
    ...(addressReuseGracePeriodSeconds === undefined ? {} : { addressReuseGracePeriodSeconds }),
  };
}

function isMoreThanItsAddresses({ subnet, start, end }: OldPoolSpec): boolean {
  return subnet !== undefined || start !== undefined || end !== undefined;
}

function keptIn({ metadata }: Resource): Kept | undefined {
  const text = metadata.annotations?.[conversionAnnotation];
  if (text === undefined) return undefined;
  try {
    const read: unknown = JSON.parse(text);
    return typeof read === "object" && read !== null ? (read as Kept) : undefined;
  } catch {
    return undefined; // somebody else's: it helps nobody here
  }
}

function rewritten(object: Resource, version: string, spec: unknown, keep: Kept | undefined): Resource {
  const { annotations: before = {}, ...metadata } = object.metadata;
  const { [conversionAnnotation]: _, ...others } = before;
  const annotations = keep ? { ...others, [conversionAnnotation]: JSON.stringify(keep) } : others;
  const group = object.apiVersion.slice(0, object.apiVersion.indexOf("/"));
  return {
    ...object,
    apiVersion: `${group}/${version}`,
    metadata: { ...metadata, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
    spec,
  } as Resource;
}

interface ConversionReview {
  readonly request?: {
    readonly uid: string;
    readonly desiredAPIVersion: string;
    readonly objects: readonly Resource[];
  };
}

/** Answers a ConversionReview. One object that cannot be converted fails the whole, as Kubernetes wants it. Pure. */
export function convert(review: object): unknown {
  const { uid = "", desiredAPIVersion = "", objects = [] } = (review as ConversionReview).request ?? {};
  const answer = (response: Record<string, unknown>) => ({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "ConversionReview",
    response: { uid, ...response },
  });
  const failed = (message: string) => answer({ result: { status: "Failure", message } });
  const wanted = desiredAPIVersion.slice(desiredAPIVersion.indexOf("/") + 1);
  const converted: Resource[] = [];
  for (const object of objects) {
    const from = object.apiVersion.slice(object.apiVersion.indexOf("/") + 1);
    if (from === wanted) converted.push(object);
    else if (from === "v1alpha1" && wanted === "v1alpha2") converted.push(upgrade(object));
    else if (from === "v1alpha2" && wanted === "v1alpha1") converted.push(downgrade(object));
    else return failed(`no way leads from ${object.apiVersion} ${object.kind} to ${desiredAPIVersion}`);
  }
  return answer({ result: { status: "Success" }, convertedObjects: converted });
}

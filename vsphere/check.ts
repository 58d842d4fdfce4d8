// Whether machines can be placed as somebody asked: every mistake at once, each by the field they wrote, with what there is instead.
import type { Problem } from "#core";
import type { VsphereClient } from "./client.ts";
import type { Entry, EntryKind } from "./inventory-entry.ts";
import { problemOf, type InventorySnapshot } from "./inventory.ts";
import type { PrivilegeTarget } from "./privileges.ts";

/** Names or full inventory paths. */
export interface PlacementToCheck {
  readonly datacenter: string;
  readonly computeCluster: string;
  readonly resourcePool?: string | undefined;
  readonly datastore?: string | undefined;
  readonly folder?: string | undefined;
  readonly networkName: string;
  readonly template?: string | undefined;
}

export interface CheckOptions {
  /** Goes before each field: "spec.placement" gives "spec.placement.datacenter". */
  readonly prefix?: string;
  /** Also ask for missing privileges on what was found. */
  readonly privileges?: boolean;
  /** Space that the machines will need on the datastore, GiB; not checked when absent. */
  readonly diskGiB?: number;
  readonly signal?: AbortSignal | undefined;
}

/** All mistakes in `placement`; empty when machines can be placed so. Rejects only when vCenter cannot be asked. */
export async function check(
  client: VsphereClient,
  placement: PlacementToCheck,
  options: CheckOptions = {},
): Promise<readonly Problem[]> {
  const inventory = await client.inventory.snapshot(options.signal);
  const judged = judgePlacement(inventory, placement, options);
  if (!options.privileges) return judged.problems;
  const gaps = await client.privileges(judged.targets, options.signal);
  return [
    ...judged.problems,
    ...gaps.map((gap) => ({
      field:
        gap.role === "datacenter" || gap.role === "root"
          ? field(options, "datacenter")
          : field(options, fields[gap.role]),
      message: `the account lacks ${gap.missing.join(", ")} on ${gap.path}; ${gap.remedy}`,
    })),
  ];
}

const fields = {
  cluster: "computeCluster",
  pool: "resourcePool",
  datastore: "datastore",
  network: "networkName",
  folder: "folder",
  template: "template",
} as const;

function field({ prefix }: CheckOptions, name: string): string {
  return prefix ? `${prefix}.${name}` : name;
}

/** Pure. */
export function judgePlacement(
  inventory: InventorySnapshot,
  placement: PlacementToCheck,
  options: CheckOptions = {},
): { readonly problems: readonly Problem[]; readonly targets: readonly PrivilegeTarget[] } {
  const problems: Problem[] = [];
  const complain = (name: string, message: string) => problems.push({ field: field(options, name), message });
  const datacenter = inventory.pick("datacenter", placement.datacenter);
  const wrong = problemOf(field(options, "datacenter"), datacenter);
  // Without a datacenter the other names have no meaning: saying that each is missing would only hide the one mistake.
  if (datacenter.kind !== "found") return { problems: wrong ? [wrong] : [], targets: [] };

  const scope = { datacenter: datacenter.entry.name };
  const look = (kind: EntryKind, name: string | undefined, fieldName: string): Entry | undefined => {
    if (name === undefined) return undefined;
    const pick = inventory.pick(kind, name, scope);
    if (pick.kind === "found") return pick.entry;
    complain(fieldName, pick.message);
    return undefined;
  };
  const cluster = look("cluster", placement.computeCluster, "computeCluster");
  const pool =
    placement.resourcePool === undefined
      ? undefined
      : lookPool(inventory, placement, cluster, scope, complain);
  const datastore = look("datastore", placement.datastore, "datastore");
  const folder = look("folder", placement.folder, "folder");
  const network = look("network", placement.networkName, "networkName");
  const template = look("template", placement.template, "template");

  if (cluster && datastore && !reaches(cluster.datastores, datastore))
    complain(
      "datastore",
      `datastore '${datastore.name}' is not mounted in compute cluster '${cluster.name}'`,
    );
  if (cluster && network && !reaches(cluster.networks, network))
    complain(
      "networkName",
      `network '${network.name}' is not on any host of compute cluster '${cluster.name}'`,
    );
  if (datastore?.space && !datastore.space.accessible)
    complain("datastore", `datastore '${datastore.name}' is not accessible now`);
  else if (
    datastore?.space &&
    options.diskGiB !== undefined &&
    datastore.space.free < options.diskGiB * 2 ** 30
  )
    complain(
      "datastore",
      `datastore '${datastore.name}' has ${gib(datastore.space.free)} GiB free, ${options.diskGiB} GiB are needed`,
    );
  const hosts = cluster
    ? inventory.list("host").filter((host) => host.owner?.value === cluster.ref.value)
    : [];
  if (cluster && !hosts.some(({ host }) => host?.connected && !host.maintenance))
    complain(
      "computeCluster",
      `compute cluster '${cluster.name}' has no host that is connected and out of maintenance`,
    );

  const seen = [datacenter.entry, cluster, pool, datastore, folder, network, template];
  return { problems, targets: seen.flatMap((entry) => (entry ? [targetOf(entry)] : [])) };
}

/** A pool is looked for in its cluster: every cluster has a pool "Resources". */
function lookPool(
  inventory: InventorySnapshot,
  { resourcePool, computeCluster }: PlacementToCheck,
  cluster: Entry | undefined,
  scope: { datacenter: string },
  complain: (field: string, message: string) => void,
): Entry | undefined {
  if (!cluster || resourcePool === undefined) return undefined; // the cluster's mistake comes first
  const mine = inventory.list("pool", scope).filter((pool) => pool.owner?.value === cluster.ref.value);
  const fits = mine.filter(
    (pool) => pool.path === resourcePool || pool.path.endsWith(`/${resourcePool.replace(/^\/+/, "")}`),
  );
  if (fits.length === 1) return fits[0];
  const names = mine.map((pool) => pool.path).join(", ");
  const what = fits.length === 0 ? "not found" : "ambiguous";
  complain(
    "resourcePool",
    `resource pool '${resourcePool}' ${what} in compute cluster '${computeCluster}'; there are: ${names}`,
  );
  return undefined;
}

function reaches(refs: readonly { readonly value: string }[] | undefined, entry: Entry): boolean {
  return refs === undefined || refs.some((ref) => ref.value === entry.ref.value);
}

function gib(bytes: number): number {
  return Math.floor(bytes / 2 ** 30);
}

function targetOf(entry: Entry): PrivilegeTarget {
  const role = entry.kind === "vm" || entry.kind === "host" ? "cluster" : entry.kind;
  return { role, ref: entry.ref, path: entry.path };
}

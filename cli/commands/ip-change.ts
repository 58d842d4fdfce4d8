// pcg ip plan, import, release, set-aside: what changes who has addresses.
import { readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import { Fault, Secret, sleep, type Kind, type Resource } from "#core";
import {
  actImport,
  actRelease,
  editLines,
  isSamePool,
  knownMetal3Pool,
  knownPool,
  openRoom,
  parseAddress,
  planEdit,
  planImport,
  planReleaseOfAddress,
  planReleaseOfClaim,
  pointerText,
  readInventory,
  rowsOfCsv,
  rowsOfGuests,
  rowsOfInventory,
  grownFor,
  setAside,
  type ImportPlan,
  type ImportRow,
  type Inventory,
  type KnownPool,
  type PoolReference,
} from "#ipam";
import { inClusterPoolKinds, metal3IPPool, type Metal3IPPool } from "#proto";
import { show, table } from "../output.ts";
import { openVcenter } from "../vcenter.ts";
import type { World } from "../world.ts";
import { findClaim, openCluster, withStore, type IpOptions } from "./ip.ts";
import { kindOfDocument } from "./kinds.ts";

/** pcg ip plan -f FILE: what pools would do when they were so. Ends with 1 where admission would refuse one. */
export async function ipPlan(world: World, files: readonly string[], options: IpOptions): Promise<void> {
  const pools = (
    await Promise.all(files.map((file) => poolsOf(file, options.namespace ?? "default")))
  ).flat();
  if (pools.length === 0) throw new Fault("Invalid", `${files.join(", ")}: there is no pool in it`);
  const inventory = await withStore(world, options, readInventory);
  const views = pools.map((pool) => planEdit(pool, inventory));
  show(world.output, options.output, { items: views }, () => views.flatMap(editLines).join("\n"));
  const refused = views.filter(({ refusedFor }) => refusedFor.length > 0);
  if (refused.length > 0)
    throw new Fault(
      "Conflict",
      `${refused.map(({ pool }) => pointerText(pool)).join(", ")} would be refused as they are`,
    );
}

async function poolsOf(file: string, namespace: string): Promise<KnownPool[]> {
  const documents = parseAllDocuments(await text(file));
  return documents.flatMap((document, index) => {
    const where = `${file}, document ${index + 1}`;
    if (document.errors[0]) throw new Fault("Invalid", `${where}: ${document.errors[0].message}`);
    const object = document.toJS() as Resource | null;
    if (!object) return [];
    const kind = kindOfDocument(object, where);
    const isMetal3 = kind === (metal3IPPool as Kind);
    if (!isMetal3 && !inClusterPoolKinds.includes(kind)) return [];
    const whole = complete(object, kind, namespace);
    const admitted = kind.admit?.(whole) ?? { object: whole };
    if ("problems" in admitted)
      throw new Fault("Invalid", `${where}: ${kind.kind} ${whole.metadata.name} is not right`, {
        problems: admitted.problems,
      });
    return [
      isMetal3 ? knownMetal3Pool(admitted.object as Metal3IPPool) : knownPool(kind, admitted.object as never),
    ];
  });
}

/** As the store would have it: in a namespace, with what it fills in. */
function complete(object: Resource, kind: Kind, namespace: string): Resource {
  const place = kind.namespaced ? { namespace: object.metadata?.namespace ?? namespace } : {};
  const filled = { uid: "", resourceVersion: "", generation: 1, creationTimestamp: "" };
  return { ...object, metadata: { ...filled, ...object.metadata, ...place } };
}

async function text(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new Fault("Invalid", `${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

export interface ImportOptions extends IpOptions {
  readonly pool: string;
  /** A table of addresses. */
  readonly filename?: string;
  /** Another cluster, whose IPAddresses are taken over. */
  readonly fromKubeconfig?: string;
  /** A vCenter, whose VMs' addresses are taken over: host, or host:port. */
  readonly fromVcenter?: string;
  readonly vcenterUsername?: string;
  readonly vcenterPasswordFile?: string;
  readonly vcenterThumbprint?: string;
  readonly vcenterCa?: string;
  readonly dryRun?: boolean;
}

const importPatienceMs = 30_000;

/** pcg ip import: addresses in use, made claims that hold them. */
export async function ipImport(world: World, options: ImportOptions): Promise<void> {
  const rows = await rowsFor(world, options);
  const skipOthers = options.fromVcenter !== undefined; // it knows of many networks
  const namespace = options.namespace ?? "default";
  await withStore(world, options, async (store) => {
    const inventory = await readInventory(store, world.signal);
    const pool = findPool(inventory, options.pool, namespace);
    const plan = planImport(rows, pool, inventory, { skipOthers });
    const done = { pool: pool.pointer, ...plan, made: 0, bound: 0 };
    if (!options.dryRun) {
      done.made = await actImport(store, pool, plan, pool.pointer.namespace ?? namespace);
      const wanted = new Set(plan.create.map(({ address }) => address));
      const until = world.clock.now() + importPatienceMs;
      do {
        const now = await readInventory(store, world.signal);
        done.bound = now.addresses.filter(
          ({ object, pool: of }) => wanted.has(object.spec.address) && isSamePool(of, pool.pointer),
        ).length;
        if (done.bound < wanted.size) await sleep(world.clock, 500, world.signal);
      } while (done.bound < wanted.size && world.clock.now() < until);
    }
    show(world.output, options.output, done, () => importText(plan, options.dryRun ?? false, done));
    if (plan.refused.length > 0)
      throw new Fault(
        "Conflict",
        `${plan.refused.length} of ${rows.length} addresses were not imported; the reasons are above`,
      );
    if (!options.dryRun && done.bound < plan.create.length)
      throw new Fault(
        "TimedOut",
        `${plan.create.length - done.bound} claims have no address yet; see: pcg ip claims --waiting`,
      );
  });
}

async function rowsFor(world: World, options: ImportOptions): Promise<readonly ImportRow[]> {
  const { filename, fromKubeconfig, fromVcenter } = options;
  if ([filename, fromKubeconfig, fromVcenter].filter((each) => each !== undefined).length !== 1)
    throw new Fault(
      "Invalid",
      "pcg ip import needs one of -f FILE, --from-kubeconfig FILE and --from-vcenter HOST",
    );
  if (fromVcenter !== undefined) return rowsOfVcenter(world, fromVcenter, options);
  if (fromKubeconfig !== undefined) {
    const other = await openCluster(world, fromKubeconfig, "--from-kubeconfig");
    try {
      return rowsOfInventory(await readInventory(other, world.signal));
    } finally {
      await other.close();
    }
  }
  const { rows, problems } = rowsOfCsv(await text(filename!));
  if (problems.length > 0)
    throw new Fault("Invalid", `${filename} is not a table of addresses`, {
      problems: problems.map((message) => ({ field: filename!, message })),
    });
  return rows;
}

async function rowsOfVcenter(
  world: World,
  server: string,
  { vcenterUsername, vcenterPasswordFile, vcenterThumbprint, vcenterCa }: ImportOptions,
): Promise<readonly ImportRow[]> {
  if (!vcenterUsername || !vcenterPasswordFile)
    throw new Fault("Invalid", "--from-vcenter needs --vcenter-username and --vcenter-password-file");
  const eyes = await openVcenter(
    {
      server: { text: server },
      username: vcenterUsername,
      passwordFile: new Secret((await text(vcenterPasswordFile)).trim()),
      thumbprint: vcenterThumbprint,
      ca: vcenterCa,
    },
    world,
  );
  try {
    return rowsOfGuests(await eyes.guests(world.signal));
  } finally {
    await eyes.close();
  }
}

export function importText(
  { create, held, refused }: ImportPlan,
  isDry: boolean,
  { bound }: { readonly bound: number },
): string {
  const lines = [
    ...(create.length > 0
      ? [
          table(
            ["ADDRESS", "CLAIM", "CLUSTER", "FROM"],
            create.map((each) => [each.address, each.name, each.cluster ?? "", each.from]),
          ),
        ]
      : []),
    ...held.map(({ address, by }) => `${address} is held already, by claim ${by}`),
    ...refused.map(({ from, why }) => `not imported, ${from}: ${why}`),
  ];
  const sum = isDry ? `${create.length} would be imported` : `${bound} of ${create.length} imported`;
  return [...lines, sum].join("\n");
}

/** By "name" (in the namespace, or of no namespace) or "Kind/name". */
function findPool({ pools }: Inventory, what: string, namespace: string): KnownPool {
  const [name, kind] = what.split("/").reverse();
  const found = pools.filter(
    ({ pointer }) =>
      pointer.name === name &&
      (kind === undefined || pointer.kind.toLowerCase() === kind.toLowerCase()) &&
      (pointer.namespace === undefined || pointer.namespace === namespace),
  );
  if (found.length === 1) return found[0]!;
  const names = (list: readonly KnownPool[]) =>
    list.map(({ pointer }) => `${pointer.kind}/${pointer.name}`).join(", ");
  if (found.length > 1)
    throw new Fault("Invalid", `there are ${found.length} pools ${what}: name one of ${names(found)}`);
  const there = names(pools.filter(({ pointer }) => (pointer.namespace ?? namespace) === namespace));
  throw new Fault(
    "NotFound",
    `there is no pool ${what} in namespace ${namespace}${there ? `; there are: ${there}` : ""}`,
  );
}

export interface ReleaseOptions extends IpOptions {
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

/** pcg ip release CLAIM|ADDRESS. Refused for what a machine uses, unless it is forced. */
export async function ipRelease(world: World, what: string, options: ReleaseOptions): Promise<void> {
  await withStore(world, options, async (store) => {
    const inventory = await readInventory(store, world.signal);
    const plan = parseAddress(what)
      ? planReleaseOfAddress(what, inventory)
      : planReleaseOfClaim(findClaim(inventory, what, options.namespace), inventory);
    if (!plan)
      throw new Fault("NotFound", `nobody holds ${what} (pcg ip explain ${what} says what is known of it)`);
    if (plan.doubts.length > 0 && !options.force)
      throw new Fault(
        "Conflict",
        `${what} is not released: ${plan.doubts.join("; ")}. With --force it is, all the same`,
      );
    if (!options.dryRun) await actRelease(store, plan);
    const done = { says: plan.says, doubts: plan.doubts, done: !options.dryRun };
    show(world.output, options.output, done, () =>
      options.dryRun ? `would be done: ${plan.says}` : plan.says,
    );
  });
}

export interface SetAsideOptions extends IpOptions {
  readonly pool: string;
}

/** pcg ip set-aside CLUSTER COUNT: keeps room in a pool for what a cluster may grow to; 0 gives it back. */
export async function ipSetAside(
  world: World,
  cluster: string,
  count: string,
  options: SetAsideOptions,
): Promise<void> {
  if (!/^\d{1,9}$/.test(count))
    throw new Fault("Invalid", `${count}: expected how many addresses, as a whole number; 0 gives all back`);
  const home = options.namespace ?? "default";
  const [name = "", namespace = home] = cluster.split("/").reverse();
  const wanted = Number(count);
  await withStore(world, options, async (store) => {
    const { pointer, object } = findPool(await readInventory(store, world.signal), options.pool, home);
    if (pointer.kind === "IPPool")
      throw new Fault("Invalid", `${pointerText(pointer)} is Metal3's, which can set nothing aside`);
    const ref = pointer as typeof pointer & PoolReference;
    await setAside(store, ref, { namespace, name }, wanted);
    const room = await openRoom(store, ref, { now: world.clock.now(), signal: world.signal });
    const done = { pool: pointer, cluster: { namespace, name }, count: wanted, room };
    const grown = grownFor(object as Parameters<typeof grownFor>[0], `${namespace}/${name}`);
    const more =
      grown === undefined ? "" : `; ${grown} are kept for its autoscaler, and of both the larger counts`;
    const left = room.kind === "room" ? `; newcomers find ${room.free} of ${room.total}` : "";
    show(world.output, options.output, done, () =>
      wanted > 0
        ? `${pointerText(pointer)} keeps ${wanted} addresses for cluster ${namespace}/${name}, those that it holds included${more}${left}`
        : `${pointerText(pointer)} keeps nothing for cluster ${namespace}/${name}${grown === undefined ? "" : " by hand"} any more${more}${left}`,
    );
  });
}

// The kill matrix: movers that die at every moment, and what is left of the cluster. Ours is looked at before each of its writes and
// after its death, then started again; clusterctl is killed at the same relative moments, looked at, and started again as well.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { cluster, ipAddress, machine, moveKinds, spa, vsphereVM, type Cluster } from "#proto";
import { clusterNames } from "#proto/render/names.ts";
import { pivotSteps } from "../../../jet/pivot/journal.ts";
import { clusterName, hasCredential, held, seedCluster, type Arena, type SideName } from "./arena.ts";
import { beginPivot, orderFor, runClusterctl, runMover, type Ended } from "./runs.ts";
import type { Order } from "./mover.ts";

export interface OurRun {
  readonly point: number;
  readonly direction: Order["direction"];
  readonly killedIn: string;
  /** What was found wrong, at any moment. */
  readonly wrong: readonly string[];
  readonly end: string;
}

/** What identifies machines, VMs and addresses of a cluster on a side, whatever uids they have. */
async function census(arena: Arena, side: SideName, uid: string): Promise<string> {
  const here = { namespace: clusterNames(uid, clusterName).namespace };
  const { store } = arena[side];
  const [machines, vms, addresses] = [
    (await store.list(machine, here)).items.map((m) => m.metadata.name),
    (await store.list(vsphereVM, here)).items.map((vm) => vm.spec.biosUUID),
    (await store.list(ipAddress, here)).items.map((a) => `${a.spec.address} ${a.spec.claimRef.name}`),
  ];
  return JSON.stringify([machines.sort(), vms.sort(), addresses.sort()]);
}

/** Owner references to what is not there: a collector would take such an object. */
async function strays(arena: Arena, side: SideName, uid: string): Promise<string[]> {
  const here = { namespace: clusterNames(uid, clusterName).namespace };
  const objects = (
    await Promise.all(moveKinds.map(async (kind) => (await arena[side].store.list(kind, here)).items))
  ).flat();
  const uids = new Set(objects.map((object) => object.metadata.uid));
  return objects.flatMap((object) =>
    (object.metadata.ownerReferences ?? [])
      .filter((ref) => !uids.has(ref.uid) && !object.metadata.deletionTimestamp)
      .map((ref) => `I3: ${object.kind}/${object.metadata.name} on the ${side} has no owner ${ref.kind}`),
  );
}

async function wakeable(arena: Arena, side: SideName, uid: string): Promise<Cluster | undefined> {
  return arena[side].store.get(cluster, {
    namespace: clusterNames(uid, clusterName).namespace,
    name: clusterName,
  });
}

/** What holds at every instant. */
async function wrongNow(arena: Arena, uid: string): Promise<string[]> {
  const [here, there] = await Promise.all([
    hasCredential(arena.gateway.store, uid),
    hasCredential(arena.workload.store, uid),
  ]);
  return here && there ? ["I1: both sides hold the credential"] : [];
}

/** A side that could act, were it woken by anybody, has every machine: nothing would be made a second time. */
async function wrongIfWoken(arena: Arena, uid: string, before: string): Promise<string[]> {
  const wrong: string[] = [];
  for (const side of ["gateway", "workload"] as const) {
    if (!(await wakeable(arena, side, uid)) || !(await hasCredential(arena[side].store, uid))) continue;
    if ((await census(arena, side, uid)) !== before)
      wrong.push(`I2: the ${side} could act, and has not the machines that there were`);
  }
  return wrong;
}

/** The writes of an undisturbed pivot of such a cluster: the step that each belongs to, in order. */
export async function writesOf(arena: Arena, mover: string, dir: string): Promise<string[]> {
  await seedCluster(arena, "count", "gateway");
  await beginPivot(arena, "count", "ToWorkload");
  const steps: string[] = [];
  const order = orderFor(arena, "count", "ToWorkload", join(dir, "count"), true);
  const end = await runMover(mover, order, undefined, ({ step }) => Promise.resolve(void steps.push(step)));
  if (end.end !== "done") throw new Error(`a pivot without a kill did not end: ${JSON.stringify(end)}`);
  return steps;
}

/** One run: killed at a write (before it, or a moment after it was sent), looked at, carried on by the next process, looked at again. */
export async function killOurs(
  arena: Arena,
  mover: string,
  dir: string,
  run: {
    readonly uid: string;
    readonly direction: Order["direction"];
    readonly at: number;
    readonly during?: number;
  },
): Promise<OurRun> {
  const { uid, direction, at, during } = run;
  const [from, to]: readonly [SideName, SideName] =
    direction === "ToWorkload" ? ["gateway", "workload"] : ["workload", "gateway"];
  const objects = await seedCluster(arena, uid, from);
  const before = await census(arena, from, uid);
  await beginPivot(arena, uid, direction);
  const wrong: string[] = [];
  const look = async () => void wrong.push(...(await wrongNow(arena, uid)));
  const folder = join(dir, uid);
  const first = await runMover(
    mover,
    orderFor(arena, uid, direction, folder, true),
    { at, ...(during === undefined ? {} : { during }) },
    look,
  );
  await look();
  wrong.push(...(await wrongIfWoken(arena, uid, before)), ...(await strays(arena, to, uid)));
  let last: Ended = first;
  for (let tries = 0; tries < 3 && last.end !== "done"; tries++)
    last = await runMover(mover, orderFor(arena, uid, direction, folder, true), undefined, look);
  wrong.push(...(await wrongAtEnd(arena, uid, { from, to, before, objects })));
  if (last.end !== "done") wrong.push(`I5: it ended with ${last.end}: ${last.message ?? ""}`);
  await sweep(arena, uid);
  return {
    point: at,
    direction,
    killedIn: first.killedAt?.step ?? "not at all",
    wrong: [...new Set(wrong)],
    end: last.end,
  };
}

async function wrongAtEnd(
  arena: Arena,
  uid: string,
  was: { from: SideName; to: SideName; before: string; objects: readonly string[] },
): Promise<string[]> {
  const { from, to, before, objects } = was;
  const wrong = [...(await strays(arena, to, uid))];
  if ((await census(arena, to, uid)) !== before)
    wrong.push("I2: machines, VMs or addresses are others than before");
  if ((await held(arena[to].store, uid)).join() !== objects.join())
    wrong.push("the new side does not hold the same");
  const left = await held(arena[from].store, uid);
  if (left.length > 0) wrong.push(`the old side still holds ${left.join(" ")}`);
  if (!(await hasCredential(arena[to].store, uid))) wrong.push("the new side has no credential");
  if (await hasCredential(arena[from].store, uid)) wrong.push("the old side has the credential");
  const whole = await wakeable(arena, to, uid);
  if (whole?.spec.paused) wrong.push("the Cluster is still paused");
  const marked = Object.keys(whole?.metadata.annotations ?? {}).filter((key) => key.startsWith("pivot."));
  if (marked.length > 0) wrong.push(`the Cluster still bears ${marked.join()}`);
  return wrong;
}

/** Out of the way of the runs that follow. */
async function sweep(arena: Arena, uid: string): Promise<void> {
  const { namespace } = clusterNames(uid, clusterName);
  await arena.gateway.store.delete(spa, { namespace, name: clusterName }).catch(() => {});
}

/** How a killed clusterctl left a cluster, and how a second run of it ended. */
export interface TheirRun {
  readonly point: number;
  readonly left: Standing;
  readonly again: Standing;
}

/** "untouched": as before. "moved": all there, awake. "stuck": whole on one side, but asleep there. "partial": spread over both, or lost. */
export type Standing = "untouched" | "moved" | "stuck" | "partial";

async function standing(arena: Arena, uid: string, objects: readonly string[]): Promise<Standing> {
  const [here, there] = [await held(arena.gateway.store, uid), await held(arena.workload.store, uid)];
  const [source, target] = [await wakeable(arena, "gateway", uid), await wakeable(arena, "workload", uid)];
  const whole = (names: readonly string[]) => objects.every((name) => names.includes(name));
  if (whole(here) && there.length === 0) return source?.spec.paused ? "stuck" : "untouched";
  if (whole(there) && here.length === 0) return target?.spec.paused ? "stuck" : "moved";
  return "partial";
}

export async function killTheirs(
  arena: Arena,
  clusterctl: string,
  run: { readonly uid: string; readonly point: number; readonly afterMs: number },
): Promise<TheirRun> {
  const objects = await seedCluster(arena, run.uid, "gateway");
  await runClusterctl(clusterctl, arena, run.uid, run.afterMs);
  const left = await standing(arena, run.uid, objects);
  await runClusterctl(clusterctl, arena, run.uid);
  const again = await standing(arena, run.uid, objects);
  return { point: run.point, left, again };
}

/** How long clusterctl takes now, undisturbed: on a shared machine that changes from round to round. */
export async function timeTheirs(arena: Arena, clusterctl: string, round: number): Promise<number> {
  const all: number[] = [];
  for (const uid of [0, 1, 2].map((at) => `time-${round}-${at}`)) {
    await seedCluster(arena, uid, "gateway");
    const moved = await runClusterctl(clusterctl, arena, uid);
    if (moved.code !== 0) throw new Error(`clusterctl failed: ${moved.said}`);
    all.push(moved.ms);
  }
  return all.sort((a, b) => a - b)[1]!;
}

/** So many points: the first and the last write of each step (the last is the journal's), the others spread evenly. */
export function pointsOver(writes: readonly string[], count: number): number[] {
  const edges = writes.flatMap((step, at) =>
    step !== writes[at - 1] || step !== writes[at + 1] ? [at + 1] : [],
  );
  const others = writes.map((_, at) => at + 1).filter((at) => !edges.includes(at));
  const left = Math.min(Math.max(count - edges.length, 0), others.length);
  const spread = Array.from(
    { length: left },
    (_, at) => others[Math.floor(((at + 0.5) * others.length) / left)]!,
  );
  return [...edges, ...spread].sort((a, b) => a - b);
}

/** Steps in which no run was killed: a step that writes nothing but the journal is met by its journal write. */
export function stepsMissed(runs: readonly OurRun[]): string[] {
  const met = new Set(runs.map((run) => run.killedIn));
  return pivotSteps.filter((step) => step !== "Done" && !met.has(step));
}

export function newFolder(dir: string, name: string): string {
  const folder = join(dir, name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

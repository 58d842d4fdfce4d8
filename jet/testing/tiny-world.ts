// The world of the explorer: two tiny stores with one small cluster, a journal, a number of VMs. A plain value, and what may be said
// of one. The stores, the steps and the judgement of stores are the real ones.
import { Fault, ownerReference, type Kind, type Resource, type ResourceStore } from "#core";
import { cluster, encode64, kubeadmControlPlane, machine, secret, vsphereVM } from "#proto";
import { clusterNames, words } from "#proto/render/names.ts";
import { identitySecret } from "../render/cluster.ts";
import { holdsCredential } from "../pivot/decide.ts";
import { newJournal, placeOf, sameJournal, ways, type PivotJournal } from "../pivot/journal.ts";
import { marks } from "../pivot/marks.ts";
import { noObjects, tinyStore, type TinyState } from "./tiny-store.ts";

export const names = clusterNames("u1", "c1");
export const credential = identitySecret(
  { clusterUid: "u1", clusterName: "c1" },
  { username: encode64("u"), password: encode64("s3cr3t") },
);

export type SideName = "gateway" | "workload";

/** All there is. Never changed once made. */
export interface World {
  readonly gateway: TinyState;
  readonly workload: TinyState;
  readonly journal: PivotJournal;
  /** VMs ever made. */
  readonly vms: number;
}

/** A world under somebody's hands: the stores and the journal of a moment. */
export class Hands {
  world: World;

  constructor(world: World) {
    this.world = world;
  }

  store(side: SideName): ResourceStore {
    return tinyStore(side, {
      get: () => this.world[side],
      set: (next) => (this.world = { ...this.world, [side]: next }),
    });
  }

  writeJournal(next: PivotJournal, expected: PivotJournal | undefined): void {
    if (!sameJournal(this.world.journal, expected)) throw new Fault("Conflict", "moved on");
    this.world = { ...this.world, journal: next };
  }
}

/** A cluster of one machine on the gateway, about to move. */
export async function firstWorld(): Promise<World> {
  const hands = new Hands({
    gateway: noObjects,
    workload: noObjects,
    journal: newJournal("ToWorkload", "p1", 1, 0),
    vms: 1,
  });
  const store = hands.store("gateway");
  const make = <R extends Resource>(kind: Kind<R>, name: string, rest: object, owner?: Resource, of?: Kind) =>
    store.create(kind, {
      metadata: {
        name,
        namespace: names.namespace,
        labels: {
          [words.clusterName]: "c1",
          ...(kind === (machine as Kind) ? { "cluster.x-k8s.io/control-plane": "" } : {}),
        },
        finalizers: ["guard"],
        ...(owner && of ? { ownerReferences: [ownerReference(of, owner)] } : {}),
      },
      ...rest,
    } as never);
  await store.create(secret, credential as never);
  const whole = await make(cluster, "c1", { spec: {} });
  const plane = await make(
    kubeadmControlPlane,
    "cp",
    { spec: { replicas: 1, version: "v1" } },
    whole,
    cluster,
  );
  const one = await make(
    machine,
    "m",
    { spec: { clusterName: "c1", version: "v1" } },
    plane,
    kubeadmControlPlane,
  );
  await store.updateStatus(machine, { ...one, status: { nodeRef: { name: "m" } } });
  await make(vsphereVM, "m", { spec: { biosUUID: "4200" } }, one, machine);
  return hands.world;
}

const moving: readonly Kind[] = [cluster, kubeadmControlPlane, machine, vsphereVM];

export function objectsOn(world: World, side: SideName, kind: Kind): Resource[] {
  return [...world[side].objects.values()].filter((object) => object.kind === kind.kind);
}

export function holds(world: World, side: SideName): boolean {
  return holdsCredential(world[side].objects.get(`Secret ${names.identity}`) as never);
}

/** Whether the controllers of a side could do anything to a VM. */
export function canAct(world: World, side: SideName): boolean {
  const [whole] = objectsOn(world, side, cluster) as { spec: { paused?: boolean } }[];
  return whole !== undefined && whole.spec.paused !== true && holds(world, side);
}

/** What is wrong with a world, whatever is under way in it; undefined when nothing is. */
export function wrongWith(world: World): string | undefined {
  if (holds(world, "gateway") && holds(world, "workload")) return "I1: both sides hold the credential";
  if (world.vms !== 1) return `I2: ${world.vms} VMs were made`;
  for (const side of ["gateway", "workload"] as const) {
    const machines = objectsOn(world, side, machine).map((m) => m.metadata.name);
    const vms = objectsOn(world, side, vsphereVM).map((vm) => (vm.spec as { biosUUID?: string }).biosUUID);
    if (canAct(world, side) && (machines.join() !== "m" || vms.join() !== "4200"))
      return `I2: the ${side} could act, and has the machines [${machines.join()}] and VMs [${vms.join()}]`;
    const uids = new Set([...world[side].objects.values()].map((object) => object.metadata.uid));
    for (const object of world[side].objects.values()) {
      const stray = object.metadata.ownerReferences?.find((ref) => !uids.has(ref.uid));
      if (stray && !isLate(object, world.journal))
        return `I3: ${object.kind}/${object.metadata.name} on the ${side} has no owner ${stray.kind}`;
    }
  }
  return JSON.stringify(world.journal).includes("s3cr3t") ? "I6: the journal holds a secret" : undefined;
}

/**
 * A copy that a late process writes when its owner has gone again: asleep, and a real server's collector takes it. Nobody's loss as
 * long as it is none of the copies that the pivot counts on.
 */
function isLate(object: Resource, journal: PivotJournal): boolean {
  const said = object.metadata.annotations ?? {};
  if (said[marks.id] === undefined) return false;
  const counted =
    said[marks.id] === journal.id &&
    said[marks.round] === String(journal.round ?? 0) &&
    placeOf(journal.step) > placeOf("Verify") &&
    journal.step !== "Done";
  return !counted;
}

/** What is wrong with a world whose pivot has ended. */
export function wrongAtEnd(world: World): string | undefined {
  const { journal } = world;
  const way = ways[journal.direction];
  const [home, other] = (journal.step === "Done" ? [way.to, way.from] : [way.from, way.to]) as [
    SideName,
    SideName,
  ];
  for (const kind of moving) {
    const [object, ...more] = objectsOn(world, home, kind);
    if (!object || more.length > 0) return `the ${home} has not exactly one ${kind.kind}`;
    if (journal.step === "Done" && object.metadata.annotations?.[marks.id])
      return `${kind.kind} still bears a mark`;
    const left = objectsOn(world, other, kind).filter(
      (o) => o.metadata.annotations?.[marks.id] === undefined,
    );
    if (left.length > 0) return `the ${other} still has a ${kind.kind}`;
  }
  const [whole] = objectsOn(world, home, cluster) as { spec: { paused?: boolean } }[];
  if (whole?.spec.paused) return `the Cluster on the ${home} is still paused`;
  if (!holds(world, home)) return `the ${home} has no credential`;
  return holds(world, other) ? `the ${other} still has the credential` : undefined;
}

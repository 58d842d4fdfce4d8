// A cluster that has lost its own objects, brought back to the gateway from its mirror; from here it is handed over anew. When that may
// be done is decided in plan-revival.ts.
//
//   E1. The cluster gives its copy of the credential up, and is seen to hold nothing that a controller there would act on, before the
//       gateway owns it (I1). What a manager wrote there from memory while its API came back goes: a MachineSet, or a Machine of a name
//       that the mirror has with another uid. Any other machine that is left is not judged: a person is asked.
//   E2. The Cluster comes first, paused, and the rest as it was: owners by the uids that they have here, and the status that upstream
//       writes only once. Nothing acts on it before Jet wakes it, with the credential, once the journal says whose it is.
//   E3. What is there already and was not revived from a mirror is not touched: Conflict.
//   E4. It may be done twice, by any process, after a crash anywhere. The journal is written last.
import {
  Fault,
  type Clock,
  type Draft,
  type Kind,
  type OwnerReference,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  cluster,
  configMap,
  machine,
  moveKinds,
  ownersFirst,
  secret,
  vsphereMachine,
  vsphereVM,
  type SpaStatus,
} from "#proto";
import { belongsTo } from "#proto/render/membership.ts";
import { clusterNames, words, type ClusterNames } from "#proto/render/names.ts";
import { ensureExists, ensureForgotten, ensureHolds, modify } from "../ensure.ts";
import { decisionOf } from "../pivot/decision.ts";
import { isRevival, newJournal, revivalId, type JournalPort } from "../pivot/journal.ts";
import type { Mirrored } from "../ports.ts";
import { served } from "./observe-recovery.ts";

/** On what was revived: the digest of the mirror that it came from. */
const revivedFrom = "jet.pcg.dev/revived-from";
/** On a Cluster that was awake when it was copied, and shall be again. */
export const revivedAsleep = "jet.pcg.dev/revived-asleep";

export interface Revived {
  readonly objects: number;
  /** The epoch at which the gateway owns the cluster from now on: later than any decision of the other side. */
  readonly epoch: number;
}

/** E1. Busy where a machine is there that the mirror knows nothing of; what else was the cluster's goes, the mirror has it. */
export async function disarm(
  workload: ResourceStore,
  names: ClusterNames,
  mirrored: Mirrored["objects"],
): Promise<void> {
  const { namespace, identity, decision } = names;
  await modify(workload, configMap, { namespace, name: decision }, (record) =>
    decisionOf(record)?.state === "Active"
      ? { ...record, data: { ...record.data, state: "Leaving" } }
      : undefined,
  );
  const key = { namespace, name: identity };
  const held = await workload.get(secret, key);
  if (held) await ensureForgotten(workload, secret, held);
  if (await workload.get(secret, key))
    throw new Fault("Busy", `Secret ${namespace}/${identity} is still in the cluster`);
  const left = await machineLeft(workload, namespace, mirrored);
  if (left) throw new Fault("Busy", `${left} is in the cluster, and was not a moment ago`);
  for (const [kind, object] of await ruins(workload, names)) await ensureForgotten(workload, kind, object);
}

/** What there is of the cluster in its own API. */
export async function ruins(
  workload: ResourceStore,
  { namespace, cluster: name }: ClusterNames,
  signal?: AbortSignal,
): Promise<(readonly [Kind, Resource])[]> {
  const found: (readonly [Kind, Resource])[] = [];
  for (const kind of moveKinds) {
    for (const object of await served(workload, kind, namespace, signal))
      if (belongsTo(name, kind, object)) found.push([kind, object]);
  }
  return found;
}

/** Kinds whose objects may stand for a VM that no mirror knows. */
const machineKinds: readonly Kind[] = [machine, vsphereMachine, vsphereVM];

/** One of them in the namespace that was not written from memory: "Machine/c1-cp-x". */
export async function machineLeft(
  workload: ResourceStore,
  namespace: string,
  mirrored: Mirrored["objects"],
  signal?: AbortSignal,
): Promise<string | undefined> {
  for (const kind of machineKinds) {
    const left = (await served(workload, kind, namespace, signal)).find(
      (object) => !isFromMemory(object, mirrored),
    );
    if (left) return `${kind.kind}/${left.metadata.name}`;
  }
  return undefined;
}

/**
 * KubeadmControlPlane's controller applies its machines: one that is in its cache and not in the API is made anew by that, under its name.
 * The uid tells it from one that was never lost. Pure.
 */
function isFromMemory({ kind, metadata: { name, uid } }: Resource, mirrored: Mirrored["objects"]): boolean {
  const known = mirrored.find((object) => object.kind === kind && object.metadata.name === name);
  return known !== undefined && known.metadata.uid !== uid;
}

export async function reviveFromMirror(
  deps: { readonly store: ResourceStore; readonly journal: JournalPort; readonly clock: Clock },
  mirrored: Mirrored,
  signal: AbortSignal,
): Promise<Revived> {
  const { store, journal, clock } = deps;
  const names = clusterNames(mirrored.clusterUid, mirrored.clusterName);
  const have = await journal.read();
  const epoch = Math.max(have?.epoch ?? 0, mirrored.decision.epoch) + (isOf(have, mirrored) ? 0 : 1);
  const isWhole = ({ kind }: Resource) => kind === cluster.kind;
  const order = ownersFirst(mirrored.objects);
  const uids = new Map<string, string>();
  for (const object of [...order.filter(isWhole), ...order.filter((one) => !isWhole(one))]) {
    signal.throwIfAborted();
    const kind = kindOf(object);
    const draft = copyOf(object, uids, names.namespace, mirrored.digest);
    let made = await ensureExists(store, kind, draft); // E2
    const from = made.metadata.annotations?.[revivedFrom];
    if (from !== undefined && from !== mirrored.digest) {
      await ensureForgotten(store, kind, made); // from an earlier mirror, by a process that died
      made = await ensureExists(store, kind, draft);
    }
    if (made.metadata.annotations?.[revivedFrom] !== mirrored.digest) {
      throw new Fault(
        "Conflict",
        `${kind.kind} ${names.namespace}/${object.metadata.name} is on the gateway already`,
      ); // E3
    }
    uids.set(object.metadata.uid, made.metadata.uid);
    await carryStatus(store, kind, names.namespace, object);
  }
  const id = revivalId(mirrored.digest);
  await ensureHolds(store, configMap, {
    metadata: { name: names.decision, namespace: names.namespace, labels: { [words.stays]: "true" } },
    data: { id, epoch: String(epoch), digest: mirrored.digest, state: "Active" },
  } as never);
  if (!isOf(have, mirrored)) {
    await journal.write({ ...newJournal("ToGateway", id, epoch, clock.now()), step: "Done" }, have);
  }
  return { objects: order.length, epoch };
}

function isOf(journal: SpaStatus["pivot"], { digest }: Mirrored): boolean {
  return isRevival(journal) && journal?.id === revivalId(digest);
}

function kindOf({ kind: name }: Resource): Kind {
  const kind = moveKinds.find((one) => one.kind === name);
  if (!kind) throw new Fault("Invalid", `the mirror holds the unknown kind ${name}`);
  return kind;
}

function copyOf(
  object: Resource,
  uids: ReadonlyMap<string, string>,
  namespace: string,
  digest: string,
): Draft<Resource> {
  const { metadata, status: _, ...body } = object;
  const { name, labels, annotations, finalizers } = metadata;
  const owners = (metadata.ownerReferences ?? []).flatMap((ref): OwnerReference[] => {
    const uid = uids.get(ref.uid);
    return uid === undefined ? [] : [{ ...ref, uid }]; // an unknown owner would have it collected
  });
  const isWhole = object.kind === cluster.kind;
  const wasAwake = isWhole && (object.spec as { paused?: boolean }).paused !== true;
  return {
    ...body,
    ...(isWhole ? { spec: { ...(object.spec as object), paused: true } } : {}),
    metadata: {
      name,
      namespace,
      annotations: {
        ...annotations,
        [revivedFrom]: digest,
        ...(wasAwake ? { [revivedAsleep]: "true" } : {}),
      },
      ...(labels ? { labels } : {}),
      ...(finalizers ? { finalizers } : {}),
      ...(owners.length > 0 ? { ownerReferences: owners } : {}),
    },
  };
}

/** E2: what was initialised, which node a machine is, which address a claim holds. */
const carried = ["initialization", "nodeRef", "addressRef", "lastRemediation"] as const;

async function carryStatus(
  store: ResourceStore,
  kind: Kind,
  namespace: string,
  object: Resource,
): Promise<void> {
  const status = (object.status ?? {}) as Record<string, unknown>;
  const parts = Object.fromEntries(
    carried.filter((part) => part in status).map((part) => [part, status[part]]),
  );
  if (Object.keys(parts).length === 0) return;
  await modify(
    store,
    kind,
    { namespace, name: object.metadata.name },
    (have) => {
      const now = (have.status ?? {}) as Record<string, unknown>;
      return Object.keys(parts).every((part) => part in now)
        ? undefined
        : { ...have, status: { ...parts, ...now } };
    },
    "status",
  );
}

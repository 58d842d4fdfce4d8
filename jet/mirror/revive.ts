// A cluster whose own API is dead, brought back to the gateway from its mirror, so that Cluster API can delete it here. Its objects only:
//
//   E1. The credential is not given. Whoever wakes the cluster afterwards answers for it that the other side acts no more: a dead API
//       cannot be asked to give its own copy up.
//   E2. The Cluster comes first, paused, and the rest as it was: owners by the uids that they have here, and the status that upstream
//       writes only once. Nothing acts on it before it is woken.
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
import { cluster, configMap, moveKinds, ownersFirst, type SpaStatus } from "#proto";
import { clusterNames, words } from "#proto/render/names.ts";
import { ensureExists, ensureForgotten, ensureHolds, modify } from "../ensure.ts";
import { newJournal, type JournalPort } from "../pivot/journal.ts";
import type { Mirrored } from "../ports.ts";

/** On what was revived: the digest of the mirror that it came from. */
const revivedFrom = "jet.pcg.dev/revived-from";

export interface Revived {
  readonly objects: number;
  /** The epoch at which the gateway owns the cluster from now on: later than any decision of the other side. */
  readonly epoch: number;
}

export async function reviveFromMirror(
  deps: { readonly store: ResourceStore; readonly journal: JournalPort; readonly clock: Clock },
  mirrored: Mirrored,
  signal: AbortSignal,
): Promise<Revived> {
  const { store, journal, clock } = deps;
  const names = clusterNames(mirrored.clusterUid, mirrored.clusterName);
  const have = await journal.read();
  const epoch = Math.max(have?.epoch ?? 0, mirrored.decision.epoch) + (isRevival(have, mirrored) ? 0 : 1);
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
  const id = revivalId(mirrored);
  await ensureHolds(store, configMap, {
    metadata: { name: names.decision, namespace: names.namespace, labels: { [words.stays]: "true" } },
    data: { id, epoch: String(epoch), digest: mirrored.digest, state: "Active" },
  } as never);
  if (!isRevival(have, mirrored)) {
    await journal.write({ ...newJournal("ToGateway", id, epoch, clock.now()), step: "Done" }, have);
  }
  return { objects: order.length, epoch };
}

/** The pivot id of a revival follows from its mirror: whoever comes second goes on with the first one's. */
function revivalId({ digest }: Mirrored): string {
  return `revived-${digest.slice(0, 12)}`;
}

function isRevival(journal: SpaStatus["pivot"], mirrored: Mirrored): boolean {
  return journal?.id === revivalId(mirrored);
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
  return {
    ...body,
    ...(object.kind === cluster.kind ? { spec: { ...(object.spec as object), paused: true } } : {}),
    metadata: {
      name,
      namespace,
      annotations: { ...annotations, [revivedFrom]: digest },
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

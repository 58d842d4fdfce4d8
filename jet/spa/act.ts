// Carries out what was planned: each action may safely be done twice.
import { Fault, formatTime, isFault, type Kind, type ResourceStore } from "#core";
import {
  clusterApiKinds,
  cluster,
  customResourceDefinition,
  deployment,
  encode64,
  ipAddressClaim,
  secret,
  spa,
  spectroCluster,
  type DesiredState,
  type Spa,
} from "#proto";
import { words } from "#proto/render/names.ts";
import { ensureDeleted, ensureExists, ensureForgotten, ensureHolds, modify } from "../ensure.ts";
import type { EventRing } from "../events.ts";
import { requestRollBack, runPivot, type Advance } from "../pivot/engine.ts";
import {
  isSettled,
  newJournal,
  stepText,
  sameJournal,
  type Direction,
  type JournalPort,
} from "../pivot/journal.ts";
import type { PivotContext } from "../pivot/steps.ts";
import type { AgentTrust, InstallImages, JetDeps } from "../ports.ts";
import { deploymentKeys, installObjects } from "../providers.ts";
import { keptKubeconfigName, type SpaSeen } from "./observe.ts";
import { identityOf, type SpaAction } from "./plan.ts";

export interface Actor {
  readonly deps: JetDeps;
  readonly events: EventRing;
  readonly images: InstallImages;
  readonly trust: () => AgentTrust;
  readonly quietMs: number;
  readonly watchMs: number;
}

/** Thrown by an action that must wait for something else; not a failure of ours. */
export class Waiting extends Fault {
  readonly object: string | undefined;
  readonly afterMs: number | undefined;
  readonly reason: string;
  /** True where a person must do something. */
  readonly blocked: boolean;

  constructor(
    reason: string,
    message: string,
    options: {
      object?: string | undefined;
      afterMs?: number | undefined;
      blocked?: boolean | undefined;
    } = {},
  ) {
    super("Busy", message);
    this.reason = reason;
    this.object = options.object;
    this.afterMs = options.afterMs;
    this.blocked = options.blocked ?? false;
  }
}

export async function actSpa(
  actor: Actor,
  seen: SpaSeen,
  action: SpaAction,
  signal: AbortSignal,
): Promise<void> {
  const { deps } = actor;
  const { store } = deps;
  const { names } = seen;
  const here = { namespace: names.namespace };
  switch (action.do) {
    case "add finalizer":
      await editSpa(store, seen, (object) =>
        finalizers(object, [...(object.metadata.finalizers ?? []), words.spaFinalizer]),
      );
      return;
    case "remove finalizer":
      await ensureDeleted(store, spa, { ...here, name: seen.spa.metadata.name });
      await editSpa(store, seen, (object) =>
        finalizers(
          object,
          (object.metadata.finalizers ?? []).filter((f) => f !== words.spaFinalizer),
        ),
      );
      return;
    case "apply": {
      const to = action.on === "gateway" ? store : workloadOf(seen);
      await (action.hold ? ensureHolds : ensureExists)(to, action.kind, action.object);
      return;
    }
    case "delete": {
      const key = { name: action.name, ...(action.namespace ? { namespace: action.namespace } : {}) };
      if (action.kind !== secret) return ensureDeleted(store, action.kind, key);
      const object = await store.get(secret, key);
      if (object) await ensureForgotten(store, secret, object); // its guards are gone by now
      return;
    }
    case "keep kubeconfig": {
      const draft = {
        metadata: {
          name: keptKubeconfigName,
          ...here,
          labels: { [words.clusterUid]: names.uid, [words.stays]: "true" },
        },
        data: { value: encode64(action.text.reveal()) },
      };
      await ensureHolds(store, secret, draft);
      return;
    }
    case "install":
      return install(actor, seen);
    case "deliver":
      return deliver(workloadOf(seen), seen, action.desired, action.counter);
    case "pivot":
      return pivot(actor, seen, action.direction, signal);
    case "roll back":
      return rollBack(actor, seen, signal);
    case "wake":
      return wake(store, seen);
    case "forget objects":
      return forgetObjects(store, seen);
    case "destroy strays":
      return destroyStrays(actor, seen, signal);
    case "say deleted":
      return sayDeleted(actor, seen);
  }
}

function finalizers(object: Spa, list: string[]): Spa {
  return { ...object, metadata: { ...object.metadata, finalizers: list } };
}

async function editSpa(store: ResourceStore, seen: SpaSeen, edit: (object: Spa) => Spa): Promise<void> {
  await modify(store, spa, { namespace: seen.names.namespace, name: seen.spa.metadata.name }, edit);
}

function workloadOf(seen: SpaSeen): ResourceStore {
  if (seen.workload.kind === "reachable") return seen.workload.store;
  throw new Fault("Unavailable", `the API of cluster ${seen.names.cluster} does not answer`);
}

/** CRDs first: nothing else can be stored without them. */
async function install({ deps, images, trust }: Actor, seen: SpaSeen): Promise<void> {
  const to = workloadOf(seen);
  for (const crd of deps.crds()) await ensureExists(to, customResourceDefinition, crd);
  for (const { kind, object } of installObjects(seen.spa.spec, images, trust())) {
    await (kind === secret ? ensureHolds : ensureExists)(to, kind, object);
  }
}

/** The wish as an object in the cluster; an older one never overwrites a newer one. */
async function deliver(
  to: ResourceStore,
  { names }: SpaSeen,
  desired: DesiredState,
  counter: number,
): Promise<void> {
  const key = { namespace: names.namespace, name: names.cluster };
  const draft = {
    metadata: { ...key, labels: { [words.clusterUid]: names.uid } },
    spec: { desired, counter },
  };
  try {
    await ensureExists(to, spectroCluster, draft);
  } catch (error) {
    // A CRD that was written a moment ago is not served yet.
    if (isFault(error, "NotFound"))
      throw new Waiting("CrdNotServed", "the cluster's API does not serve SpectroCluster yet");
    throw error;
  }
  await modify(to, spectroCluster, key, (have) =>
    have.spec.counter < counter ? { ...have, spec: { desired, counter } } : undefined,
  );
}

// ---- pivot ----------------------------------------------------------------------------------------------------------------------

/** The journal in the SPA's status. */
export function spaJournal(
  store: ResourceStore,
  key: { readonly namespace: string; readonly name: string },
): JournalPort {
  return {
    read: async () => (await store.get(spa, key))?.status?.pivot,
    async write(next, expected) {
      const object = await store.get(spa, key);
      if (!object) throw new Fault("NotFound", `${spa.kind} ${key.namespace}/${key.name} is gone`);
      if (!sameJournal(object.status?.pivot, expected)) {
        throw new Fault("Conflict", `somebody else moved the pivot of ${key.name} on`);
      }
      await store.updateStatus(spa, { ...object, status: { ...object.status, pivot: next } });
    },
  };
}

async function pivot(actor: Actor, seen: SpaSeen, direction: Direction, signal: AbortSignal): Promise<void> {
  const { deps, events } = actor;
  const journal = spaJournal(deps.store, { namespace: seen.names.namespace, name: seen.spa.metadata.name });
  const have = await journal.read();
  if (isSettled(have) && !(have?.direction === direction && have.step === "Done")) {
    const id = Math.floor(deps.random() * 2 ** 48)
      .toString(16)
      .padStart(12, "0");
    await journal.write(newJournal(direction, id, (have?.epoch ?? 0) + 1, deps.clock.now()), have);
  } else if (have && have.direction !== direction) {
    throw new Fault("Conflict", `a pivot ${have.direction} is under way`);
  }
  const ctx = pivotContext(actor, seen, direction, journal, signal);
  const end = await runPivot(ctx, signal, (advance) => tellStep(events, seen, advance));
  if (end.kind !== "waiting") return;
  throw new Waiting(end.reason, `${end.journal.step}: ${end.message}`, {
    object: end.object,
    blocked: end.blocked,
    afterMs: end.afterMs,
  });
}

function pivotContext(
  actor: Actor,
  seen: SpaSeen,
  direction: Direction,
  journal: JournalPort,
  signal: AbortSignal,
): PivotContext {
  const { deps, images } = actor;
  const workload = workloadOf(seen);
  const out = direction === "ToWorkload";
  const { credential, spa: object } = seen;
  return {
    source: out ? deps.store : workload,
    target: out ? workload : deps.store,
    journal,
    names: seen.names,
    identity: () => Promise.resolve(identityOf(seen)),
    targetLacks: () => (out ? lacksProviders(workload, seen, images) : stopAgent(workload, seen)),
    ...(credential.kind === "found"
      ? {
          missingVms: async (uuids) => {
            const cloud = deps.cloudFor(object.spec.cloud, credential);
            const vms = await cloud.census(
              {
                placements: [object.spec.placement],
                biosUUIDs: uuids.map((u) => u.toLowerCase()),
                names: [],
              },
              signal,
            );
            const known = new Set(vms.map((vm) => vm.biosUUID.toLowerCase()));
            return uuids.filter((uuid) => !known.has(uuid.toLowerCase()));
          },
        }
      : {}),
    purpose: out ? "manage" : "delete",
    clock: deps.clock,
    quietMs: actor.quietMs,
    watchMs: actor.watchMs,
  };
}

async function lacksProviders(
  workload: ResourceStore,
  seen: SpaSeen,
  images: InstallImages,
): Promise<string | undefined> {
  for (const key of deploymentKeys(seen.names.uid, images)) {
    const object = await workload.get(deployment, key);
    if (!(
      (object?.status?.availableReplicas ?? 0) > 0 ||
      object?.status?.conditions?.some((c) => c.type === "Available" && c.status === "True")
    )) {
      return `Deployment ${key.namespace}/${key.name} is not available`;
    }
  }
  return undefined;
}

/** The agent changes nothing any more while its cluster goes back. It holds still by the decision record already; this is manners. */
async function stopAgent(workload: ResourceStore, { names }: SpaSeen): Promise<undefined> {
  await modify(workload, deployment, { namespace: names.namespace, name: names.agentDeployment }, (object) =>
    object.spec.replicas === 0 ? undefined : { ...object, spec: { ...object.spec, replicas: 0 } },
  );
  return undefined;
}

async function tellStep(events: EventRing, { names }: SpaSeen, advance: Advance): Promise<void> {
  if (advance.kind === "waiting") return;
  const { journal } = advance;
  const back = advance.kind === "advanced" ? advance.why : undefined;
  await events.say(names.uid, {
    severity: back ? "Warn" : "Info",
    reason: "Pivot",
    message: back ? `${stepText(journal)}, again: ${back}` : stepText(journal),
    milestone: journal.direction === "ToWorkload" ? "PivotCompleted" : "ManagementReturned",
    involvedObject: { kind: cluster.kind, name: names.cluster, namespace: names.namespace },
  });
}

async function rollBack(actor: Actor, seen: SpaSeen, signal: AbortSignal): Promise<void> {
  const { deps } = actor;
  const journal = spaJournal(deps.store, { namespace: seen.names.namespace, name: seen.spa.metadata.name });
  if (!(await requestRollBack({ journal, clock: deps.clock }))) return; // decided in the meantime: the next round goes forward
  const away = unreachable(seen);
  const target = seen.workload.kind === "reachable" ? seen.workload.store : away;
  const ctx: PivotContext = {
    source: deps.store,
    target,
    journal,
    names: seen.names,
    identity: () => Promise.resolve(undefined),
    targetLacks: () => Promise.resolve(undefined),
    purpose: "delete",
    clock: deps.clock,
    quietMs: actor.quietMs,
    watchMs: actor.watchMs,
  };
  await runPivot(ctx, signal, (advance) => tellStep(actor.events, seen, advance));
}

/** Stands for an API that nobody reaches. */
function unreachable({ names }: SpaSeen): ResourceStore {
  const fail = () =>
    Promise.reject(new Fault("Unavailable", `the API of cluster ${names.cluster} does not answer`));
  return {
    get: fail,
    list: fail,
    create: fail,
    update: fail,
    updateStatus: fail,
    delete: fail,
    watch: () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) }),
  };
}

// ---- deletion -------------------------------------------------------------------------------------------------------------------

/** A paused Cluster is not deleted by anybody; nor is one whose credential is gone. */
async function wake(store: ResourceStore, seen: SpaSeen): Promise<void> {
  const identity = identityOf(seen);
  if (identity) await ensureHolds(store, secret, identity);
  await modify(store, cluster, { namespace: seen.names.namespace, name: seen.names.cluster }, (object) => {
    if (!object.spec.paused) return undefined;
    const { paused: _, ...spec } = object.spec;
    return { ...object, spec: spec as typeof object.spec };
  });
}

async function forgetObjects(store: ResourceStore, seen: SpaSeen): Promise<void> {
  const kinds = new Map<string, Kind>([...clusterApiKinds, ipAddressClaim].map((kind) => [kind.kind, kind]));
  await modify(store, cluster, { namespace: seen.names.namespace, name: seen.names.cluster }, (object) =>
    object.spec.paused ? undefined : { ...object, spec: { ...object.spec, paused: true } },
  );
  for (const object of [...seen.gateway.objects].reverse()) {
    const kind = kinds.get(object.kind);
    if (kind) await ensureForgotten(store, kind, object);
  }
}

async function destroyStrays({ deps, events }: Actor, seen: SpaSeen, signal: AbortSignal): Promise<void> {
  if (seen.strays.kind !== "counted" || seen.credential.kind !== "found") return;
  const cloud = deps.cloudFor(seen.spa.spec.cloud, seen.credential);
  for (const vm of seen.strays.vms) {
    await events.say(seen.names.uid, {
      severity: "Warn",
      reason: "DestroyingStray",
      message: `removing VM ${vm.name} (${vm.biosUUID}), which outlived its objects`,
      involvedObject: { kind: "VirtualMachine", name: vm.name },
    });
    await cloud.destroy(vm, signal);
  }
}

/** The plane hears of it before the object goes. */
async function sayDeleted({ deps, events }: Actor, seen: SpaSeen): Promise<void> {
  await events.say(seen.names.uid, {
    severity: "Info",
    reason: "Deleted",
    message: `cluster ${seen.names.cluster} is deleted; nothing of it is left`,
  });
  const { status, spec } = seen.spa;
  await deps.outlet.status({
    clusterUid: seen.names.uid,
    state: "Deleted",
    pivoted: false,
    observedCounter: spec.counter,
    conditions: [
      {
        type: "Deleted",
        status: "True",
        reason: "Deleted",
        message: "",
        lastTransitionTime: formatTime(deps.clock.now()),
      },
    ],
    milestones: status?.milestones ?? [],
    machines: [],
  });
}

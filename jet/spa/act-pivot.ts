// The pivot as an action: its journal lies in the SPA, its sides are the gateway's store and the workload cluster's API.
import { Fault, serverSideOf, type ResourceStore } from "#core";
import { cluster, deployment, spa } from "#proto";
import { modify } from "../ensure.ts";
import type { EventRing } from "../events.ts";
import { commandAnnotation, commandOf } from "../pivot/command.ts";
import { requestResume, requestRollBack, runPivot, type Advance } from "../pivot/engine.ts";
import {
  isSettled,
  newJournal,
  stepText,
  sameJournal,
  ways,
  type Direction,
  type JournalPort,
} from "../pivot/journal.ts";
import type { PivotContext } from "../pivot/step.ts";
import type { ProviderSource } from "../ports.ts";
import { deploymentKeys, isAvailable } from "../providers.ts";
import type { SpaSeen } from "./seen.ts";
import { identityOf } from "./rendered.ts";
import { type Actor, Waiting } from "./actor.ts";

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

export async function pivot(
  actor: Actor,
  seen: SpaSeen,
  direction: Direction,
  signal: AbortSignal,
): Promise<void> {
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
  const { deps, providers } = actor;
  // A pivot that is under way says itself what a silent side means for it.
  const workload = seen.workload.kind === "reachable" ? seen.workload.store : unreachable(seen);
  const out = ways[direction].from === "gateway";
  const { credential, spa: object } = seen;
  const server = serverSideOf(out ? workload : deps.store);
  return {
    source: out ? deps.store : workload,
    target: out ? workload : deps.store,
    journal,
    snapshots: deps.snapshots,
    names: seen.names,
    identity: () => Promise.resolve(identityOf(seen)),
    targetLacks: () => (out ? lacksProviders(workload, seen, providers, signal) : stopAgent(workload, seen)),
    ...(server ? { admits: (kind, draft) => server.tryCreate(kind, draft, signal) } : {}),
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
    lostMs: actor.lostMs,
  };
}

async function lacksProviders(
  workload: ResourceStore,
  seen: SpaSeen,
  providers: ProviderSource,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const key of deploymentKeys(seen.names.uid, providers)) {
    if (!isAvailable(await workload.get(deployment, key))) {
      return `Deployment ${key.namespace}/${key.name} is not available`;
    }
  }
  return providers.silent(workload, signal);
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
    milestone: ways[journal.direction].milestone,
    involvedObject: { kind: cluster.kind, name: names.cluster, namespace: names.namespace },
  });
}

export async function rollBack(actor: Actor, seen: SpaSeen, signal: AbortSignal): Promise<void> {
  const { deps } = actor;
  const journal = spaJournal(deps.store, { namespace: seen.names.namespace, name: seen.spa.metadata.name });
  if (!(await requestRollBack({ journal, clock: deps.clock }))) return; // decided in the meantime: the next round goes forward
  const direction = (await journal.read())?.direction ?? "ToWorkload";
  const ctx = pivotContext(actor, seen, direction, journal, signal);
  await runPivot(ctx, signal, (advance) => tellStep(actor.events, seen, advance));
}

/** A person said "go on". The word is taken off when it was heard. */
export async function resumePivot(actor: Actor, seen: SpaSeen, signal: AbortSignal): Promise<void> {
  const { deps } = actor;
  const key = { namespace: seen.names.namespace, name: seen.spa.metadata.name };
  const journal = spaJournal(deps.store, key);
  const have = await journal.read();
  if (have) {
    const ctx = pivotContext(actor, seen, have.direction, journal, signal);
    await requestResume(ctx, { sourceLost: commandOf(seen.spa) === "resume-without-source" });
  }
  await takeWordOff(deps.store, key);
}

export async function takeWordOff(
  store: ResourceStore,
  key: { readonly namespace: string; readonly name: string },
): Promise<void> {
  await modify(store, spa, key, (object) => {
    const { [commandAnnotation]: said, ...annotations } = object.metadata.annotations ?? {};
    return said === undefined ? undefined : { ...object, metadata: { ...object.metadata, annotations } };
  });
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

// Carries out what was planned: each action may safely be done twice.
import { Fault, isFault, type ResourceStore } from "#core";
import {
  customResourceDefinition,
  encode64,
  secret,
  spa,
  spectroCluster,
  type DesiredState,
  type Spa,
  secretText,
} from "#proto";
import { enrolmentSecretName, words } from "#proto/render/names.ts";
import { includes, overlay } from "#proto/render/shape.ts";
import { ensureDeleted, ensureExists, ensureForgotten, ensureHolds, modify } from "../ensure.ts";
import { recoverCluster } from "../mirror/recover.ts";
import { pullMirror } from "../mirror/pull.ts";
import { agentObjects, writeAll, writeInstalled } from "../providers.ts";
import { keptKubeconfigName, type SpaSeen } from "./seen.ts";
import type { JetDeps } from "../ports.ts";
import type { SpaAction } from "./action.ts";
import { type Actor, workloadOf, Waiting } from "./actor.ts";
import { pivot, resumePivot, rollBack } from "./act-pivot.ts";
import { clearRuins, hearRevive, revive } from "./act-revive.ts";
import { wake, fence, forgetObjects, pause, destroy, sayDeleted } from "./act-delete.ts";

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
      await deps.snapshots.drop(names.uid);
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
    case "amend": {
      const to = action.on === "gateway" ? store : workloadOf(seen);
      const { name, namespace } = action;
      await modify(to, action.kind, namespace ? { name, namespace } : { name }, (have) =>
        includes(have.spec, action.spec) ? undefined : { ...have, spec: overlay(have.spec, action.spec) },
      );
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
      return install(actor, seen, signal);
    case "settle":
      return settle(deps, seen, signal);
    case "mirror":
      // A copy that fails is tried again in the next round; nothing of the cluster's waits for it.
      return pullMirror(deps, workloadOf(seen), seen.names, actor.trust(names.uid)).catch((error: unknown) =>
        deps.log.warn("copying a cluster's objects failed", { cluster: names.uid, error: Fault.from(error) }),
      );
    case "deliver":
      return deliver(workloadOf(seen), seen, action.desired, action.counter);
    case "pivot":
      return pivot(actor, seen, action.direction, signal);
    case "roll back":
      return rollBack(actor, seen, signal);
    case "resume pivot":
      return resumePivot(actor, seen, signal);
    case "revive":
      return revive(actor, seen, signal);
    case "clear ruins":
      return clearRuins(actor, seen);
    case "hear revive":
      return hearRevive(actor, seen, action.why);
    case "wake":
      return wake(store, seen);
    case "pause":
      return pause(store, seen);
    case "forget objects":
      return forgetObjects(store, seen);
    case "fence":
      return fence(store, seen);
    case "destroy":
      return destroy(actor, seen, action, signal);
    case "say deleted":
      return sayDeleted(actor, seen, action);
  }
}

function finalizers(object: Spa, list: string[]): Spa {
  return { ...object, metadata: { ...object.metadata, finalizers: list } };
}

async function editSpa(store: ResourceStore, seen: SpaSeen, edit: (object: Spa) => Spa): Promise<void> {
  await modify(store, spa, { namespace: seen.names.namespace, name: seen.spa.metadata.name }, edit);
}

async function settle(deps: JetDeps, { spa: { spec } }: SpaSeen, signal: AbortSignal): Promise<void> {
  const { store, mirrors, workloads, clock, log } = deps;
  if (!mirrors) return;
  const observer = { store, mirrors, workloads, clock, cloud: () => spec.cloud };
  const did = await recoverCluster(observer, spec.clusterUid, false, signal);
  if (did !== "nothing") log.info("a held cluster was looked at again", { cluster: spec.clusterUid, did });
}

/** CRDs first: nothing else can be stored without them. */
async function install(actor: Actor, seen: SpaSeen, signal: AbortSignal): Promise<void> {
  const { deps, providers, trust } = actor;
  const to = workloadOf(seen);
  const kept = await deps.store.get(secret, { namespace: seen.names.namespace, name: enrolmentSecretName });
  const token = secretText(kept, "token");
  const source = seen.images?.source ?? {};
  for (const crd of deps.crds()) {
    if (!providers.crds.includes(crd.metadata.name)) await ensureExists(to, customResourceDefinition, crd);
  }
  const { renewAt } = await providers.install(to, source, signal);
  await writeAll(to, agentObjects(seen.spa.spec, actor.agentImage, source, trust(seen.names.uid), token));
  await writeInstalled(to, seen.names.uid, {
    digest: actor.digest(source),
    renewAt,
    release: providers.release,
  });
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

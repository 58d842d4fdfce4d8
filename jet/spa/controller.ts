// The controller of SpectroProvisioningAgents: observe, plan, act, report. Never gives up; the next try is in the status, so that it
// is visible, and a restart does not start over.
import {
  backoffDelay,
  Fault,
  keyText,
  sameJson,
  type Controller,
  type Follow,
  type Key,
  type Resource,
  type Result,
} from "#core";
import {
  cluster,
  inClusterIPPool,
  globalInClusterIPPool,
  ipAddressClaim,
  kubeadmControlPlane,
  machine,
  secret,
  spa,
  vsphereCluster,
  vsphereDeploymentZone,
  vsphereMachine,
  vsphereVM,
  type ClusterStatus,
  type Spa,
} from "#proto";
import { words } from "#proto/render/names.ts";
import { contentHash } from "#proto/render/shape.ts";
import type { EventRing } from "../events.ts";

import type { ImageSource, JetDeps, JetOptions } from "../ports.ts";
import { defaultImages, plainProviders } from "../providers.ts";
import { actSpa } from "./act.ts";
import { Waiting } from "./actor.ts";
import { heldBy, planHeld } from "./held.ts";
import { observeSpa } from "./observe.ts";
import { removeZones } from "./zones.ts";
import type { CloudSeen, SpaSeen } from "./seen.ts";
import { planDeletion } from "./plan-delete.ts";
import { planCluster } from "./plan.ts";
import type { SpaPlan } from "./spa-plan.ts";
import { clusterStatus, reportSpa } from "./report.ts";

/** An unchanged status is told again after so long: an outlet may have led nowhere for a moment. */
const tellAgainMs = 5 * 60_000;
/** That somebody else was faster is no trouble, unless it goes on: told after so many times in a row. */
const racesUntold = 3;

/**
 * A round fails as a whole only where the gateway's own API was away. When it is back, a hand-over may stand where nobody manages the
 * cluster, and must not wait as long again as the outage lasted.
 */
const ownApiMs = 30_000;

export function spaController(deps: JetDeps, options: JetOptions, events: EventRing): Controller {
  const images = { ...defaultImages, ...options.images };
  const providers = deps.providers ?? plainProviders(images);
  const ownDigest = contentHash([deps.crds(), images.agent]);
  const digest = (source: ImageSource) => contentHash([ownDigest, providers.digest(source)]);
  const systemNamespace = options.systemNamespace ?? "pcg-system";
  const backoff = options.backoff ?? { baseMs: 5_000, capMs: 300_000 };
  const busyMs = options.busyPollMs ?? 1_000;
  const memory = new Map<string, { question: string; at: number; answer: CloudSeen }>();
  const told = new Map<string, { readonly status: ClusterStatus; readonly at: number }>();
  const races = new Map<string, number>();
  const observer = {
    deps,
    options: {
      systemNamespace,
      providers,
      imageSource: options.imageSource ?? {},
      workloadTimeoutMs: options.workloadTimeoutMs ?? 10_000,
    },
    memory,
    certificates: new Map(),
    endpoints: new Map(),
  };
  const actor = {
    deps,
    events,
    providers,
    agentImage: images.agent,
    digest,
    trust: options.agentTrust ?? (() => ({})),
    quietMs: options.quietMs ?? 2_000,
    watchMs: options.watchMs ?? 5_000,
    lostMs: options.lostMs ?? 10 * 60_000,
  };
  const deadAfterMs = options.deadAfterMs ?? 15 * 60_000;

  async function reconcile(key: Key, signal: AbortSignal): Promise<Result> {
    const seen = await observeSpa(observer, key, signal);
    if (!seen) {
      memory.delete(key.namespace ?? "");
      told.delete(keyText(key));
      races.delete(keyText(key));
      await removeZones(deps.store, key.namespace?.replace(/^cluster-/, "") ?? "");
      return {};
    }
    try {
      if (seen.spa.spec.pause && !seen.deleting) return {};
      const held = heldBy(seen);
      const plan =
        held !== undefined
          ? planHeld(seen, held)
          : seen.deleting
            ? planDeletion(seen, { providers, now: deps.clock.now(), deadAfterMs })
            : planCluster(seen, { providers, digest, now: deps.clock.now() });
      const failure = await act(seen, plan, signal);
      if (failure?.code === "Cancelled" || signal.aborted)
        throw failure ?? new Fault("Cancelled", "stopping");
      const lost = failure?.code === "Conflict" ? (races.get(keyText(key)) ?? 0) + 1 : 0;
      races.set(keyText(key), lost);
      const trouble = lost > 0 && lost <= racesUntold ? undefined : failure;
      const after = await reportSpa({ deps, events, backoff }, seen, plan, trouble);
      if (!after) return {};
      if (!plan.actions.some((action) => action.do === "say deleted")) await tell(key, after);
      if (lost > 0) throw failure; // look again at once
      return { after: waitMs(plan, failure, after) };
    } finally {
      if (seen.workload.kind === "reachable") await seen.workload.store.close().catch(() => {});
    }
  }

  /** Actions in order, up to the first that fails. */
  async function act(seen: SpaSeen, plan: SpaPlan, signal: AbortSignal): Promise<Fault | undefined> {
    for (const action of plan.actions) {
      const startedAt = deps.clock.now();
      const fields = { spa: keyText({ namespace: seen.names.namespace, name: seen.spa.metadata.name }) };
      try {
        signal.throwIfAborted();
        await actSpa(actor, seen, action, signal);
        const what =
          action.do === "apply" ? { object: `${action.kind.kind}/${action.object.metadata.name ?? ""}` } : {};
        deps.log.info(action.do, { ...fields, ...what, tookMs: deps.clock.now() - startedAt });
      } catch (error) {
        const fault = Fault.from(error, action.do);
        if (fault instanceof Waiting) deps.log.debug(action.do, { ...fields, waiting: fault.message });
        else if (fault.code !== "Cancelled")
          deps.log.info("action failed; trying again", { ...fields, action: action.do, error: fault });
        return fault;
      }
    }
    return undefined;
  }

  /** The plane gets every change once, and the whole once more after a restart and now and then. */
  async function tell(key: Key, object: Spa): Promise<void> {
    const status = clusterStatus(object);
    const last = told.get(keyText(key));
    const at = deps.clock.now();
    if (last && sameJson(last.status, status) && at - last.at < tellAgainMs) return;
    await deps.outlet.status(status);
    told.set(keyText(key), { status, at });
  }

  function waitMs(plan: SpaPlan, failure: Fault | undefined, after: Spa): number {
    const now = deps.clock.now();
    if (failure instanceof Waiting) return Math.max(failure.afterMs ?? busyMs, 50);
    const retryAt = after.status?.milestones?.find((m) => m.state !== "Done" && m.nextRetryAt)?.nextRetryAt;
    if (failure || retryAt) {
      const left = retryAt ? Date.parse(retryAt) - now : backoffDelay(1, backoff, deps.random);
      // Where the gateway's own watches may bring the change sooner, they do; others are asked again at the announced time.
      return Math.max(left, 50);
    }
    // Looking again, and copying, change nothing that the next round would wait for.
    if (plan.actions.some((action) => action.do !== "settle" && action.do !== "mirror"))
      return Math.min(200, busyMs);
    return plan.pace === "busy"
      ? busyMs
      : plan.pace === "watched"
        ? busyMs * 5
        : (options.steadyPollMs ?? 30_000);
  }

  const bySystemSecret: Follow = {
    kind: secret,
    async affects(object: Resource) {
      if (object.metadata.namespace !== systemNamespace) return inClusterNamespace(object);
      const { items } = await deps.store.list(spa);
      return items
        .filter(({ spec: { cloud, controlPlane, images } }) =>
          [cloud.credentialRef.name, controlPlane.etcd?.secretRef.name, images?.pullSecretRef?.name].includes(
            object.metadata.name,
          ),
        )
        .map((one) => ({ namespace: one.metadata.namespace ?? "", name: one.metadata.name }));
    },
  };

  /** Whom an object in (or labelled for) a cluster's namespace concerns. */
  async function inClusterNamespace(object: Resource): Promise<Key[]> {
    const uid = object.metadata.labels?.[words.clusterUid];
    const ns = uid ? `cluster-${uid}` : object.metadata.namespace;
    if (!ns?.startsWith("cluster-")) return [];
    const { items } = await deps.store.list(spa, { namespace: ns });
    return items.map((one) => ({ namespace: ns, name: one.metadata.name }));
  }

  /** A parent pool concerns the clusters that wait for its addresses. */
  async function byPool(object: Resource): Promise<Key[]> {
    const inside = await inClusterNamespace(object);
    if (inside.length > 0) return inside;
    const { items } = await deps.store.list(spa);
    return items
      .filter((one) => one.status?.state === "Error" || one.status?.state === "Provisioning")
      .map((one) => ({ namespace: one.metadata.namespace ?? "", name: one.metadata.name }));
  }

  /** A zone outlives its SPA by a moment, or by a restart: then nobody else would take it away. */
  const byZone: Follow = {
    kind: vsphereDeploymentZone,
    affects: (object: Resource) => {
      const { [words.clusterUid]: uid, [words.clusterName]: name } = object.metadata.labels ?? {};
      return Promise.resolve(uid && name ? [{ namespace: `cluster-${uid}`, name }] : []);
    },
  };

  return {
    name: "spa",
    kind: spa,
    follows: [
      bySystemSecret,
      byZone,
      ...[
        cluster,
        kubeadmControlPlane,
        vsphereCluster,
        machine,
        vsphereMachine,
        vsphereVM,
        ipAddressClaim,
      ].map((kind) => ({ kind, affects: inClusterNamespace }) as Follow),
      ...[inClusterIPPool, globalInClusterIPPool].map((kind) => ({ kind, affects: byPool }) as Follow),
    ],
    reconciler: { reconcile },
    backoff: { baseMs: 50, capMs: Math.min(backoff.capMs, ownApiMs) },
  };
}

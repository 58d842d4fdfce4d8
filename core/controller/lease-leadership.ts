// Leadership among processes that share a store, by a Lease as Kubernetes' own components keep them (client-go's leader election):
// whoever wrote the lease last leads; a holder that has not renewed for `leaseMs` may be replaced.
//
//   E1. Nobody's clock is compared with another's: a lease counts as dead when we saw it unchanged for its whole duration.
//   E2. A holder that could not renew for `renewWithinMs` (less than leaseMs) resigns by itself, so that L1 holds.
//   E3. The store's Conflict decides between two that take a dead lease at once.
import { Fault } from "../fault.ts";
import type { Logger } from "../log.ts";
import { defineKind } from "../resource/kind.ts";
import type { Resource } from "../resource/meta.ts";
import type { ResourceStore } from "../store/store.ts";
import { sleep, type Clock } from "../time/clock.ts";
import { orAborted } from "./informer.ts";
import type { Leadership } from "./leadership.ts";

export interface Lease extends Resource {
  spec: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    /** RFC 3339 with microseconds. */
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

export const leases = defineKind<Lease>({
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases",
  hasStatus: false,
});

export interface LeaseLeadershipOptions {
  readonly namespace: string;
  readonly name: string;
  /** Unique among all who compete: host name and a random part. */
  readonly identity: string;
  /** 15 s unless told; whole seconds. */
  readonly leaseMs?: number;
  /** 10 s unless told. */
  readonly renewWithinMs?: number;
  /** Between renewals, and between tries; 2 s unless told. */
  readonly retryMs?: number;
}

export function leaseLeadership(
  deps: {
    readonly store: ResourceStore;
    readonly clock: Clock;
    readonly log: Logger;
    readonly random: () => number;
  },
  options: LeaseLeadershipOptions,
): Leadership {
  const { leaseMs = 15_000, renewWithinMs = 10_000, retryMs = 2_000, identity, ...key } = options;
  const { store, clock } = deps;
  const log = deps.log.child({ lease: `${key.namespace}/${key.name}` });
  /** The lease as last seen to change, and when that was by our clock (E1). */
  let observed: { readonly version: string; readonly at: number } | undefined;

  const spec = (old: Lease["spec"] | undefined): Lease["spec"] => {
    const now = new Date(clock.now()).toISOString().replace("Z", "000Z");
    const mine = old?.holderIdentity === identity;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseMs / 1000),
      acquireTime: mine ? (old.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (old?.leaseTransitions ?? 0) + (old === undefined || mine ? 0 : 1),
    };
  };

  /** One try to take the lease, or to keep it. */
  async function take(keeping: boolean): Promise<"ours" | "theirs"> {
    const lease = await store.get(leases, key);
    if (!lease) {
      await store.create(leases, { metadata: { ...key }, spec: spec(undefined) });
      return "ours";
    }
    const holder = lease.spec.holderIdentity ?? "";
    if (holder !== "" && holder !== identity) {
      const version = `${lease.metadata.uid} ${lease.metadata.resourceVersion}`;
      if (observed?.version !== version) {
        if (observed === undefined) log.info("waiting for another process to give up the lead", { holder });
        observed = { version, at: clock.now() };
      }
      const lifeMs = (lease.spec.leaseDurationSeconds ?? leaseMs / 1000) * 1000;
      if (keeping || clock.now() - observed.at < lifeMs) return "theirs";
    }
    await store.update(leases, { ...lease, spec: spec(lease.spec) }); // E3
    observed = undefined;
    return "ours";
  }

  async function tryTake(keeping: boolean, signal: AbortSignal): Promise<"ours" | "theirs" | "unknown"> {
    try {
      return await orAborted(take(keeping), signal);
    } catch (error) {
      const fault = Fault.from(error);
      if (fault.code !== "Conflict" && fault.code !== "AlreadyExists" && fault.code !== "Cancelled")
        log.warn("could not reach the lease", { error: fault });
      return "unknown";
    }
  }

  async function resign(): Promise<void> {
    const lease = await store.get(leases, key);
    if (lease?.spec.holderIdentity !== identity) return;
    // As client-go does: an empty holder and one second, so that the next does not wait.
    await store.update(leases, {
      ...lease,
      spec: { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1 },
    });
  }

  const pause = (signal: AbortSignal) =>
    sleep(clock, retryMs * (0.9 + 0.2 * deps.random()), signal).catch(() => {});

  /** Leads once, from a lease just taken at `takenAt`. Returns how the work ended; `lost` if the lead went before. */
  async function reign(
    work: (signal: AbortSignal) => Promise<void>,
    takenAt: number,
    signal: AbortSignal,
  ): Promise<{ readonly lost: boolean; readonly error?: unknown }> {
    const lost = new AbortController();
    const finished = new AbortController();
    const over = AbortSignal.any([signal, lost.signal, finished.signal]);
    const until = (renewedAt: number) =>
      clock.after(renewedAt + renewWithinMs - clock.now(), () => lost.abort()); // E2
    let dismissal = until(takenAt);
    const running = work(AbortSignal.any([signal, lost.signal])).then(
      () => ({}),
      (error: unknown) => ({ error }),
    );
    void running.then(() => finished.abort());
    while (!over.aborted) {
      await pause(over);
      if (over.aborted) break;
      const startedAt = clock.now();
      const answer = await tryTake(true, over);
      if (answer === "theirs") lost.abort();
      if (answer !== "ours" || over.aborted) continue;
      dismissal();
      dismissal = until(startedAt);
    }
    dismissal();
    const ended = await running; // L2
    return { lost: lost.signal.aborted, ...ended };
  }

  return {
    async lead(work, signal) {
      while (!signal.aborted) {
        const takenAt = clock.now();
        if ((await tryTake(false, signal)) !== "ours") {
          await pause(signal);
          continue;
        }
        log.info("leading", { identity });
        const ended = await reign(work, takenAt, signal);
        if (ended.lost) log.warn("lost the lead", { identity });
        else
          await resign().catch((error: unknown) =>
            log.info("could not give up the lease", { error: Fault.from(error) }),
          );
        const dismissed = ended.lost || signal.aborted;
        if ("error" in ended && !(dismissed && Fault.from(ended.error).code === "Cancelled"))
          throw ended.error;
        if (!ended.lost) return;
      } // L3
    },
  };
}

// Moves of a moving site's cluster, there and back, by the gateway itself: every hand-over to the cluster as after its first node, every
// way back as for a deletion. The way back ends before anything is deleted: the API refuses to delete the Cluster, the gateway is
// stopped, its SPA is told that nothing was wanted, it is killed, and the next one hands the cluster over again.
import { readFileSync } from "node:fs";
import { isFault, silentLogger, systemClock, type ResourceStore } from "#core";
import { startInformer } from "#core/controller/informer.ts";
import { modify, modifyStatus } from "#core/store/helpers.ts";
import { cluster, deployment, secret, spa, type Spa, type SpaStatus } from "#proto";
import { agentDeploymentName, clusterNames } from "#proto/render/names.ts";
import { until, untilState } from "../../scenario/until.ts";
import { holdsCredential } from "../../../jet/pivot/decide.ts";
import {
  isSettled,
  newJournal,
  placeOf,
  type PivotJournal,
  type PivotStep,
} from "../../../jet/pivot/journal.ts";
import { keepCluster } from "./keep-cluster.ts";
import type { MovingSite } from "./moving-site.ts";

export type Way = "ToWorkload" | "ToGateway";

export interface Moves {
  /** Begins the way back. */
  turnBack(): Promise<void>;
  /** When the way back is at its end: stops the gateway, forgets that a deletion was wanted, kills it and starts it again. */
  turnAgain(): Promise<void>;
  /**
   * Stops the gateway (SIGSTOP) the moment it is heard to be in this step. Answers with the step in which it stands by then, which is a
   * later one where the step was shorter than the moment.
   */
  stoppedIn(way: Way, step: PivotStep, patienceMs: number): Promise<PivotStep>;
  /** Lets a stopped gateway go on. */
  goOn(): void;
  /** Whether a gateway that comes to the step that is waited for is stopped; where it is past it by then, at once. True at the beginning. */
  setArmed(armed: boolean): void;
  /** kill -9 of the gateway, stopped or not, and a new one; does not wait until that is ready. */
  killAndRestart(): Promise<void>;
  /** Resolves when the move that is under way has ended. */
  ended(way: Way, patienceMs: number): Promise<void>;
  spa(): Promise<Spa>;
  close(): Promise<void>;
}

export async function followMoves(site: MovingSite): Promise<Moves> {
  const { uid, store, gateway, client } = site;
  const key = { namespace: `cluster-${uid}`, name: site.clusterName };
  const stop = new AbortController();
  let trap: { readonly way: Way; readonly step: PivotStep; readonly sprung: () => void } | undefined;
  const informer = startInformer(
    { store, clock: systemClock, log: silentLogger, random: Math.random },
    { kind: spa, namespace: key.namespace, backoff: { baseMs: 50, capMs: 500 } },
    stop.signal,
  );
  let armed = true;
  let heard: PivotJournal | undefined;
  const springTrap = () => {
    if (!armed || !trap || heard?.direction !== trap.way || placeOf(heard.step) < placeOf(trap.step)) return;
    if (isSettled(heard) && trap.step !== heard.step) return; // the one before
    signalGateway("SIGSTOP");
    trap.sprung();
    trap = undefined;
  };
  informer.subscribe(({ object }) => {
    heard = object.status?.pivot;
    springTrap();
  });
  await informer.synced;

  const signalGateway = (signal: NodeJS.Signals) => {
    const pid = gateway.pid();
    if (pid !== undefined) process.kill(pid, signal);
  };
  const isStopped = () => until("the gateway is stopped", async () => stateOf(gateway.pid()) === "T");
  const theSpa = async () => {
    const object = await store.get(spa, key);
    if (!object) throw new Error(`the SPA of ${site.clusterName} is gone`);
    return object;
  };
  const journal = async () => (await theSpa()).status?.pivot;
  const tell = (change: (status: SpaStatus) => SpaStatus) =>
    modifyStatus(store, spa, key, (object) => void (object.status = change(object.status ?? {})));
  let before: SpaStatus = {};
  let failure: unknown;
  let lives = 0;
  const kill = async () => {
    lives++;
    await gateway.kill();
  };
  /** It may be stopped before it is ready, so nobody waits for that. */
  const start = () => {
    const life = ++lives;
    gateway.start().catch((error: unknown) => {
      if (life === lives) failure = error;
    });
  };
  const removal = await keepCluster(store, key.namespace);

  return {
    spa: theSpa,
    async turnBack() {
      await untilState(client, uid, "Running");
      await removal.forbid();
      before = (await theSpa()).status ?? {};
      await tell((status) => ({
        ...status,
        pivot: newJournal("ToGateway", `back-${before.pivot!.epoch}`, before.pivot!.epoch + 1, Date.now()),
      }));
    },
    async turnAgain() {
      signalGateway("SIGSTOP"); // an embedded API would go with it
      await isStopped();
      const at = (await journal())!;
      const pivot: PivotJournal = {
        ...newJournal("ToWorkload", at.id, at.epoch, Date.now()),
        step: "RolledBack",
      };
      await tell(() => ({ ...before, pivot, state: "Provisioning" }));
      await modify(
        site.workload,
        deployment,
        { namespace: key.namespace, name: agentDeploymentName },
        (object) => {
          object.spec = { ...object.spec, replicas: 1 }; // it was stopped for good, had the deletion gone on
        },
      );
      await removal.allow();
      await kill();
      start();
    },
    async stoppedIn(way, step, patienceMs) {
      await new Promise<void>((resolve, reject) => {
        const stands = async () => JSON.stringify(await journal().catch(() => undefined));
        const late = setTimeout(() => {
          void stands().then((at) => reject(new Error(`${way} did not come to ${step} in time: ${at}`)));
        }, patienceMs);
        trap = { way, step, sprung: () => (clearTimeout(late), resolve()) };
      });
      await isStopped();
      return (await journal())!.step as PivotStep;
    },
    goOn: () => signalGateway("SIGCONT"),
    setArmed(wanted) {
      armed = wanted;
      springTrap();
    },
    async killAndRestart() {
      await kill();
      start();
    },
    async ended(way, patienceMs) {
      let last: PivotJournal | undefined;
      const over = async () => {
        if (failure) throw failure as Error;
        last = await journal().catch(away);
        return last?.direction === way && last.step === "Done";
      };
      await until(`the move ${way} has ended`, over, patienceMs).catch(async (error: Error) => {
        const { conditions, milestones } = (await theSpa()).status ?? {};
        const lines = gateway.lines.slice(-25).join("\n");
        throw new Error(
          `${error.message}; it stands at ${JSON.stringify({ last, conditions, milestones })}\n${lines}`,
        );
      });
    },
    async close() {
      stop.abort();
      await informer.stopped;
    },
  };
}

/** An embedded API goes and comes with its gateway. */
function away(error: unknown): undefined {
  if (!isFault(error, "Unavailable", "TimedOut")) throw error;
}

/** "T" for a process that is stopped. */
function stateOf(pid: number | undefined): string {
  try {
    return /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}

/** Wakes the Cluster of a side, as somebody does who does not know. True when its controllers have taken that up. */
export async function wakeRogue(
  site: MovingSite,
  side: "gateway" | "workload",
  patienceMs: number,
): Promise<boolean> {
  const store: ResourceStore = side === "gateway" ? site.store : site.workload;
  const key = { namespace: `cluster-${site.uid}`, name: site.clusterName };
  if (!(await store.get(cluster, key))) return false;
  const woken = await modify(store, cluster, key, (object) => {
    const { paused: _, ...spec } = object.spec;
    object.spec = spec as typeof object.spec;
  });
  const taken = async () => {
    const object = await store.get(cluster, key);
    const said = object?.status?.conditions?.find((c) => c.type === "Paused");
    return said?.status === "False" && (said.observedGeneration ?? 0) >= (woken?.metadata.generation ?? 1);
  };
  return until("it is awake", taken, patienceMs).then(
    () => true,
    () => false,
  );
}

/** Whether both sides hold the credential at this moment (I1). */
export async function bothHoldCredential({ uid, clusterName, ...site }: MovingSite): Promise<boolean> {
  const { namespace, identity: name } = clusterNames(uid, clusterName);
  const held = await Promise.all(
    [site.store, site.workload].map((store: ResourceStore) => store.get(secret, { namespace, name })),
  );
  return held.every(holdsCredential);
}

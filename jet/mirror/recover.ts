// What a gateway does at its start, before anybody else acts, for each cluster that it knows: decided in plan-recovery.ts.
//
//   F1. The credential goes before anything else is done, and before Cluster API's managers run (I1).
//   F2. Addresses come before the SPA, and both before any claim is served: what a cluster has is never given to another.
//   F3. Each act may be done twice, by any process; what is done is seen in the store, not remembered.
//   F4. A cluster that cannot be recovered does not keep the others from it; one whose credential cannot be taken keeps the managers
//       from starting.
import { Fault, isFault, type Logger } from "#core";
import { words } from "#proto/render/names.ts";
import { act, dropCredential, heldText } from "./act-recovery.ts";
import { isBehind, tick, type LineageShelf } from "./lineage.ts";
import {
  knownClusters,
  observeCluster,
  takeInventory,
  type Inventory,
  type Found,
  type RecoveryObserver,
} from "./observe-recovery.ts";
import { planRecovery, type Recovery, type RecoveryPlan } from "./plan-recovery.ts";

export interface RecoveryDeps extends RecoveryObserver {
  readonly log: Logger;
  readonly lineage: LineageShelf;
  /** Where credential Secrets lie; "pcg-system" unless told. */
  readonly systemNamespace?: string;
}

/** What was done for one cluster. */
export interface Recovered {
  readonly clusterUid: string;
  readonly did: Recovery["do"];
  readonly why?: string;
}

const systemNamespaceOf = (deps: RecoveryDeps) => deps.systemNamespace ?? "pcg-system";

/**
 * To be called when the API answers and before Cluster API's managers run: takes from them whatever must not act. `writable` is called
 * once before the first write on an object that a webhook would judge, since nobody answers for webhooks yet.
 */
export async function fenceAfterRestore(
  deps: RecoveryDeps,
  writable: () => Promise<void>,
  signal: AbortSignal,
): Promise<readonly Recovered[]> {
  const behind = await isBehind(deps.store, deps.lineage, systemNamespaceOf(deps));
  let open = false;
  const opened = async () => {
    if (!open) await writable();
    open = true;
  };
  const unfenced = new Set<string>();
  const inventory = await takeInventory(deps.store);
  const done = await eachCluster(deps, async (uid) => {
    unfenced.add(uid);
    const found = await observeCluster(deps, uid, behind, signal, inventory);
    const plan = planRecovery(found.seen);
    if (plan.fence) await dropCredential(deps.store, uid, found); // F1
    unfenced.delete(uid);
    if (!plan.fence) return "nothing";
    switch (plan.recovery.do) {
      case "yield":
      case "bury":
      case "hold":
        if (found.seen.objects !== "none") await opened();
        await act(deps, uid, found, plan.recovery);
        return plan.recovery.do;
      default:
        return "nothing";
    }
  });
  if (unfenced.size > 0) {
    const why = done.find(({ clusterUid }) => unfenced.has(clusterUid))?.why;
    throw new Fault(
      "Unavailable",
      `it cannot be made sure that nobody acts on ${[...unfenced].join(", ")}: ${why}`,
    ); // F4
  }
  return done;
}

/**
 * To be called when every kind is served and before our own controllers run: brings SPAs, addresses and kubeconfigs to what the mirrors
 * say. Afterwards the store counts as the newest there is. Safe to call at every start.
 */
export async function recoverClusters(
  deps: RecoveryDeps,
  signal: AbortSignal,
): Promise<readonly Recovered[]> {
  const system = systemNamespaceOf(deps);
  const behind = await isBehind(deps.store, deps.lineage, system);
  if (behind) deps.log.warn("the store is older than what this gateway did: it was restored, or lost");
  const inventory = await takeInventory(deps.store);
  const done = await eachCluster(deps, (uid) => recoverCluster(deps, uid, behind, signal, inventory));
  await tick(deps.store, deps.lineage, system);
  return done;
}

/** One cluster, as often as something is left to do; also while controllers run, where a mirror came late or a held one can be asked again. */
export async function recoverCluster(
  deps: RecoveryObserver,
  uid: string,
  behind: boolean,
  signal: AbortSignal,
  /** For the first look. */
  inventory?: Inventory,
): Promise<Recovery["do"]> {
  let did: Recovery["do"] = "nothing";
  for (let round = 0; round < 5; round++) {
    const found = await observeCluster(deps, uid, behind, signal, round === 0 ? inventory : undefined);
    const plan = planRecovery(found.seen);
    if (plan.fence) await dropCredential(deps.store, uid, found);
    if (plan.recovery.do === "nothing" || isHeldSo(found, plan)) return did;
    await act(deps, uid, found, plan.recovery);
    did = plan.recovery.do;
  }
  return did;
}

async function eachCluster(
  deps: RecoveryDeps,
  work: (uid: string) => Promise<Recovery["do"]>,
): Promise<readonly Recovered[]> {
  const done: Recovered[] = [];
  for (const clusterUid of await knownClusters(deps)) {
    try {
      const did = await work(clusterUid);
      if (did === "nothing") continue;
      deps.log.warn("recovered a cluster", { cluster: clusterUid, did });
      done.push({ clusterUid, did });
    } catch (error) {
      if (isFault(error, "Cancelled")) throw error;
      const fault = Fault.from(error, `recovering cluster ${clusterUid}`); // F4
      deps.log.error("a cluster could not be recovered", { cluster: clusterUid, error: fault });
      done.push({ clusterUid, did: "nothing", why: fault.message });
    }
  }
  return done;
}

function isHeldSo({ spa: object }: Found, { recovery }: RecoveryPlan): boolean {
  return recovery.do === "hold" && object?.metadata.annotations?.[words.held] === heldText(recovery);
}

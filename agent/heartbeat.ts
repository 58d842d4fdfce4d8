// The heartbeat: into the SpectroCluster's status, where the gateway looks, and to the plane.
import { Fault, formatTime, sleep } from "#core";
import { spectroCluster } from "#proto";
import type { AgentDeps, AgentOptions } from "./ports.ts";
import { modifyStatus } from "./status.ts";

/** Beats at once and then every heartbeatMs until the signal aborts. A beat that fails is tried again after a second. Never rejects. */
export async function keepBeating(
  deps: AgentDeps,
  options: AgentOptions,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = deps;
  const everyMs = options.heartbeatMs ?? 30_000;
  let failing = false;
  while (!signal.aborted) {
    let beaten = false;
    try {
      beaten = await beat(deps, options);
      if (failing) log.info("heartbeat works again");
      failing = false;
    } catch (error) {
      if (!failing) log.info("heartbeat failed; trying again", { error: Fault.from(error) });
      failing = true;
    }
    await sleep(clock, beaten ? everyMs : Math.min(1_000, everyMs), signal).catch(() => {});
  }
}

/** One beat; false where there is no SpectroCluster to write it to yet. */
export async function beat(
  { store, clock, outlet }: AgentDeps,
  { namespace, clusterUid, version }: AgentOptions,
): Promise<boolean> {
  const at = formatTime(clock.now());
  const { items } = await store.list(spectroCluster, { namespace });
  const mine = items.find((one) => one.spec.desired.clusterUid === clusterUid);
  if (mine) {
    await modifyStatus(store, { namespace, name: mine.metadata.name }, (object) => ({
      ...object.status,
      heartbeat: { version, lastHeartbeat: at },
    }));
  }
  await outlet?.heartbeat({ at, version });
  return mine !== undefined;
}

// A cluster's objects come back from its mirror: as an action, with the person's word that asked for it.
import { Fault } from "#core";
import { disarm, reviveFromMirror } from "../mirror/revive.ts";
import { spaJournal, takeWordOff } from "./act-pivot.ts";
import { workloadOf, type Actor } from "./actor.ts";
import type { SpaSeen } from "./seen.ts";

export async function revive({ deps, events }: Actor, seen: SpaSeen, signal: AbortSignal): Promise<void> {
  const { store, clock } = deps;
  const { names } = seen;
  const mirrored = await deps.mirrors?.latest(names.uid);
  if (!mirrored) throw new Fault("NotFound", `the mirror of cluster ${names.cluster} cannot be read`);
  await disarm(workloadOf(seen), names, mirrored.objects);
  const key = { namespace: names.namespace, name: seen.spa.metadata.name };
  const journal = spaJournal(store, key);
  const { objects, epoch } = await reviveFromMirror({ store, journal, clock }, mirrored, signal);
  await events.say(names.uid, {
    severity: "Warn",
    reason: "Revived",
    message: `${objects} objects came back from the mirror of ${mirrored.takenAt}; the gateway manages the cluster until it is handed over again (epoch ${epoch})`,
  });
}

/** What was written in the cluster from memory after the gateway had taken it up. */
export async function clearRuins({ deps }: Actor, seen: SpaSeen): Promise<void> {
  const mirrored = await deps.mirrors?.latest(seen.names.uid);
  await disarm(workloadOf(seen), seen.names, mirrored?.objects ?? []);
}

export async function hearRevive({ deps, events }: Actor, seen: SpaSeen, why?: string): Promise<void> {
  const { names, spa } = seen;
  if (why !== undefined) {
    const message = `cluster ${names.cluster} is not revived: ${why}`;
    await events.say(names.uid, { severity: "Warn", reason: "ReviveRefused", message });
  }
  await takeWordOff(deps.store, { namespace: names.namespace, name: spa.metadata.name });
}

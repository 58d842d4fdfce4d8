// A copy of the cluster's objects at its gateway, kept up to date: what the gateway needs when its own store is lost, or this cluster's
// API is dead. It goes over the agent's own link, sealed for the gateway.
//
//   R1. Only the side that owns the cluster speaks for it: nothing is sent unless the decision record is Active and the Cluster there.
//   R2. Sent when the content changed, or the gateway lacks it, or has another key; at most every 30 s.
//   R3. What was sent is noted in the cluster after it is on disk: a crash in between costs another copy, never a missing one.
import { Fault, formatTime, Secret, sealBox, sleep, type BoxAddress } from "#core";
import {
  configMap,
  mirrorContext,
  mirrorDigest,
  ownersFirst,
  packMirror,
  partsOf,
  secret,
  secretText,
  spectroCluster,
  type MirrorDocument,
  type SpectroCluster,
} from "#proto";
import { holdsCluster, readMembers } from "#proto/render/membership.ts";
import { agentSecretName, decisionName } from "#proto/render/names.ts";
import type { AgentDeps, AgentOptions } from "./ports.ts";
import { modifyStatus } from "./status.ts";

export interface Mirroring {
  /** Resolves after abort. */
  readonly stopped: Promise<void>;
  /** The gateway said what it has: another digest, or none, has it sent again. */
  wanted(have: string | undefined): void;
}

type Sent = NonNullable<NonNullable<SpectroCluster["status"]>["mirror"]>;

/** Looks at once and then every mirrorMs until the signal aborts. Never rejects. */
export function keepMirroring(deps: AgentDeps, options: AgentOptions, signal: AbortSignal): Mirroring {
  const { clock, log } = deps;
  let lacking: { readonly have: string | undefined } | undefined;
  let failing = false;
  async function keep(): Promise<void> {
    while (!signal.aborted) {
      let look: Look | undefined;
      try {
        const asked = lacking;
        look = await mirrorOnce(deps, options, asked);
        if (lacking === asked && look.kind !== "waiting") lacking = undefined;
        if (look.kind === "sent") {
          const { sequence, objects, parts } = look;
          log.info("sent the mirror", { sequence, objects, parts });
        }
        failing = false;
      } catch (error) {
        if (!failing && !signal.aborted)
          log.warn("mirroring the cluster's objects failed; trying again", { error: Fault.from(error) });
        failing = true;
      }
      const everyMs = options.mirrorMs ?? 30_000;
      await sleep(clock, look?.kind === "waiting" ? Math.min(everyMs, 2_000) : everyMs, signal).catch(
        () => {},
      );
    }
  }
  return { stopped: keep(), wanted: (have) => void (lacking = { have }) };
}

export type Look =
  /** This side does not own the cluster (yet), or does not know its gateway's key. */
  | { readonly kind: "waiting" }
  | { readonly kind: "unchanged" }
  | { readonly kind: "sent"; readonly sequence: number; readonly objects: number; readonly parts: number };

const waiting: Look = { kind: "waiting" };

/** One look, and the copy where one is due. */
export async function mirrorOnce(
  { store, clock, outlet }: AgentDeps,
  options: AgentOptions,
  /** What the gateway says that it has. */
  told?: { readonly have: string | undefined },
): Promise<Look> {
  if (!outlet?.mirror) return waiting;
  const { namespace, clusterUid } = options;
  const decision = (await store.get(configMap, { namespace, name: decisionName }))?.data;
  if (decision?.state !== "Active") return waiting; // R1
  const to = gatewayOf(await store.get(secret, { namespace, name: agentSecretName }));
  if (!to) return waiting;
  const spc = (await store.list(spectroCluster, { namespace })).items.find(
    (one) => one.spec.desired.clusterUid === clusterUid,
  );
  if (!spc) return waiting;
  const objects = ownersFirst(await readMembers(store, namespace, spc.spec.desired.clusterName));
  if (!holdsCluster(objects)) return waiting; // what is lost must not take the place of what there was
  const digest = mirrorDigest(objects);
  const last = spc.status?.mirror;
  if (!isDue({ digest, reader: to.publicKey, counter: spc.spec.counter, last, told }))
    return { kind: "unchanged" }; // R2
  const now = clock.now();
  const sequence = Math.max(now, (last?.sequence ?? 0) + 1);
  const document: MirrorDocument = {
    schema: 1,
    clusterUid,
    clusterName: spc.spec.desired.clusterName,
    takenAt: formatTime(now),
    decision: { id: decision.id ?? "", epoch: Number(decision.epoch ?? 0) },
    counter: spc.spec.counter,
    desired: spc.spec.desired,
    digest,
    objects,
  };
  const parts = partsOf(
    clusterUid,
    sequence,
    sealBox(to, packMirror(document), mirrorContext(clusterUid, sequence)),
  );
  for (const part of parts) await outlet.mirror(part);
  const sent: Sent = {
    digest,
    sequence,
    at: document.takenAt,
    reader: to.publicKey,
    counter: spc.spec.counter,
  };
  await modifyStatus(store, { namespace, name: spc.metadata.name }, (object) => ({
    ...object.status,
    mirror: sent,
  })); // R3
  return { kind: "sent", sequence, objects: objects.length, parts: parts.length };
}

/** R2. Pure. */
export function isDue(look: {
  readonly digest: string;
  readonly reader: string;
  readonly counter: number;
  readonly last: Sent | undefined;
  readonly told: { readonly have: string | undefined } | undefined;
}): boolean {
  const { digest, reader, counter, last, told } = look;
  if (!last || last.digest !== digest || last.counter !== counter || last.reader !== reader) return true;
  return told !== undefined && told.have !== digest;
}

/** The gateway's address, as Jet wrote it into this cluster; undefined where an older gateway did not. */
function gatewayOf(object: Parameters<typeof secretText>[0]): BoxAddress | undefined {
  const publicKey = secretText(object, "mirrorKey");
  const token = secretText(object, "mirrorToken");
  return publicKey && token ? { publicKey, token: new Secret(token) } : undefined;
}

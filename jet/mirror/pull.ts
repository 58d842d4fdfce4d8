// A copy that Jet takes by itself, over the cluster's own API.
import { formatTime, type ResourceStore } from "#core";
import { encode64, mirrorDigest, ownersFirst, secret, spectroCluster } from "#proto";
import { holdsCluster, readMembers } from "#proto/render/membership.ts";
import { agentSecretName, words, type ClusterNames } from "#proto/render/names.ts";
import { ensureHolds } from "../ensure.ts";
import { readDecision } from "../pivot/decision.ts";
import type { AgentTrust, JetDeps } from "../ports.ts";

/** Does nothing where the cluster does not own itself: then its objects there are not the truth. */
export async function pullMirror(
  { mirrors, clock }: Pick<JetDeps, "mirrors" | "clock">,
  workload: ResourceStore,
  { namespace, cluster, uid }: ClusterNames,
  { mirror: trust }: AgentTrust,
): Promise<void> {
  const decision = await readDecision(workload, namespace);
  const object = await workload.get(spectroCluster, { namespace, name: cluster });
  if (!mirrors || !object || decision?.state !== "Active") return;
  if (trust) {
    // An agent that seals for a key of the past finds the new one here.
    await ensureHolds(workload, secret, {
      metadata: {
        name: agentSecretName,
        namespace,
        labels: { [words.clusterUid]: uid, [words.stays]: "true" },
      },
      data: { mirrorKey: encode64(trust.key), mirrorToken: encode64(trust.token.reveal()) },
    } as never);
  }
  const objects = ownersFirst(await readMembers(workload, namespace, cluster));
  if (!holdsCluster(objects)) return;
  await mirrors.keep({
    clusterUid: uid,
    clusterName: cluster,
    takenAt: formatTime(clock.now()),
    decision: { id: decision.id, epoch: decision.epoch },
    counter: object.spec.counter,
    desired: object.spec.desired,
    digest: mirrorDigest(objects),
    objects,
  });
}

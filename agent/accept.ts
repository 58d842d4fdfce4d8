// Newer wishes that come straight from the plane, past the gateway.
//
//   W1. A document counts by its signature, which the caller checks, and only if it is about this cluster.
//   W2. A lower or equal counter changes nothing.
//   W3. How this site reaches its vCenter, and what the gateway found out (template, endpoint), stays as it is: the plane cannot know.
//   W4. Deletion is not the agent's: the gateway takes management back first.
import { Fault, isFault } from "#core";
import { desiredStateSchema, spectroCluster, type DesiredCluster, type DesiredState } from "#proto";
import type { AgentDeps, AgentOptions } from "./ports.ts";

export type Acceptance = "accepted" | "old" | "not mine";

/** Takes a wish in. Unavailable while there is no SpectroCluster yet: the message should come again. */
export async function acceptDesired(
  { store, log }: AgentDeps,
  { namespace, clusterUid }: AgentOptions,
  desired: DesiredCluster,
  signature?: string,
): Promise<Acceptance> {
  if (desired.clusterUid !== clusterUid || desired.spec.clusterUid !== clusterUid) return "not mine"; // W1
  if (desired.spec.action === "Delete") return "not mine"; // W4
  for (let tries = 0; ; tries++) {
    const { items } = await store.list(spectroCluster, { namespace });
    const have = items.find((one) => one.spec.desired.clusterUid === clusterUid);
    if (!have) throw new Fault("Unavailable", "this cluster has no SpectroCluster yet");
    if (have.spec.counter >= desired.counter) return "old"; // W2
    const { signature: _old, ...spec } = have.spec;
    try {
      await store.update(spectroCluster, {
        ...have,
        spec: {
          ...spec,
          desired: merged(have.spec.desired, desired),
          counter: desired.counter,
          ...(signature ? { signature } : {}),
        },
      });
      log.info("took a newer desired state", { counter: desired.counter, was: have.spec.counter });
      return "accepted";
    } catch (error) {
      if (!isFault(error, "Conflict") || tries >= 9) throw error;
    }
  }
}

/** W3. Pure. */
export function merged(have: DesiredState, { spec }: DesiredCluster): DesiredState {
  const next = desiredStateSchema.parse(spec);
  const sameVersion = have.kubernetesVersion === next.kubernetesVersion;
  const template = next.image.template ?? (sameVersion ? have.image.template : undefined);
  const host = next.network.endpoint.host ?? have.network.endpoint.host;
  return {
    ...next,
    cloud: have.cloud,
    image: template ? { ...next.image, template } : next.image,
    network: host ? { ...next.network, endpoint: { ...next.network.endpoint, host } } : next.network,
  };
}

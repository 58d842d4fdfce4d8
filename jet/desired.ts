// What the plane wants, made into an SPA. Called by the gateway for each desired.cluster message, after the signature held.
import { apiVersionOf, Fault, isFault, keyText, type Draft, type Resource, type ResourceStore } from "#core";
import { encode64, namespace, secret, spa, type DesiredCluster, type Spa, type SpaSpec } from "#proto";
import { clusterNamespace, enrolmentSecretName, words } from "#proto/render/names.ts";
import { ensureExists, ensureHolds } from "./ensure.ts";
import { knownToPlane } from "./mirror/plan-recovery.ts";
import { clusterNamespaceObject } from "./render/cluster.ts";

/** The SPA that stands for a desired cluster. Pure. */
export function desiredToSpa(desired: DesiredCluster): Draft<Spa> {
  const { clusterUid, counter, spec } = desired;
  return {
    apiVersion: apiVersionOf(spa),
    kind: spa.kind,
    metadata: {
      name: spec.clusterName,
      namespace: clusterNamespace(clusterUid),
      labels: { [words.clusterUid]: clusterUid },
    },
    spec: { ...spec, clusterUid, counter, ...(spec.agent ? { agent: withoutToken(spec.agent) } : {}) },
  };
}

/** An SPA is there to be read by people; the token is not. */
function withoutToken(agent: NonNullable<SpaSpec["agent"]>): NonNullable<SpaSpec["agent"]> {
  const { enrolmentToken: _token, ...shown } = agent;
  return shown;
}

/** Where the agent's token waits for the installation (providers.ts); it never moves with the cluster. */
async function keepToken(store: ResourceStore, { clusterUid, spec }: DesiredCluster): Promise<void> {
  const token = spec.agent?.enrolmentToken;
  if (!token) return; // used already: the plane leaves it out
  const draft: Draft<Resource> & { data: Record<string, string> } = {
    apiVersion: apiVersionOf(secret),
    kind: secret.kind,
    metadata: {
      name: enrolmentSecretName,
      namespace: clusterNamespace(clusterUid),
      labels: { [words.clusterUid]: clusterUid, [words.stays]: "true" },
    },
    data: { token: encode64(token) },
  };
  await ensureHolds(store, secret, draft);
}

function heldUntilKnown(draft: Draft<Spa>): Draft<Spa> {
  const why =
    "the plane knows this cluster as one that manages itself, and this gateway has lost what it knew of it";
  const annotations = { [words.held]: `${knownToPlane}: ${why}` };
  return { ...draft, metadata: { ...draft.metadata, annotations } };
}

/** "gone": deletion was asked for and there is nothing (any more). The caller tells the plane so. */
export type Accepted = "created" | "updated" | "old" | "gone";

/**
 * Makes the store want what the plane wants. A lower or equal counter than the stored one changes nothing ("old"). Invalid when
 * the document breaks the schema. Called twice with the same document it does nothing the second time.
 */
export async function acceptDesired(
  store: ResourceStore,
  desired: DesiredCluster,
  /** Whether the cluster was seen to its end here. */
  isForgotten: (clusterUid: string) => Promise<boolean> = () => Promise.resolve(false),
): Promise<Accepted> {
  const draft = desiredToSpa(desired);
  const key = { namespace: clusterNamespace(desired.clusterUid), name: desired.spec.clusterName };
  for (let tries = 0; ; tries++) {
    const have = await store.get(spa, key);
    try {
      if (have) {
        if (have.spec.counter >= desired.counter) return "old";
        await keepToken(store, desired);
        // How vCenter is reached follows the site's account (gateway/follow-vcenter.ts), not an order: a cluster does not change its vCenter.
        await store.update(spa, { ...have, spec: { ...draft.spec, cloud: have.spec.cloud } });
        return "updated";
      }
      if (await isForgotten(desired.clusterUid)) return "gone";
      if (desired.pivoted) {
        // It runs somewhere: made here it would be there twice, and "gone" would be a lie.
        await ensureExists(store, namespace, clusterNamespaceObject(desired.spec));
        await store.create(spa, heldUntilKnown(draft));
        return "created";
      }
      if (desired.spec.action === "Delete") return "gone";
      await ensureExists(store, namespace, clusterNamespaceObject(desired.spec));
      await keepToken(store, desired);
      await store.create(spa, draft);
      return "created";
    } catch (error) {
      if (!isFault(error, "Conflict", "AlreadyExists", "NotFound") || tries >= 9) {
        throw Fault.from(error, `accepting the desired state of ${keyText(key)}`);
      }
    }
  }
}

// An API that refuses to delete the Cluster of a namespace, for as long as that is wanted. Copies of a pivot that is under way go.
import { defineKind, isFault, type OwnedStore } from "#core";
import { cluster, configMap } from "#proto";
import { marks } from "../../../jet/pivot/marks.ts";
import { until } from "../../scenario/until.ts";

const group = "admissionregistration.k8s.io";
const parts = { group, version: "v1", namespaced: false };
const policy = defineKind({
  ...parts,
  kind: "ValidatingAdmissionPolicy",
  plural: "validatingadmissionpolicies",
});
const binding = defineKind({
  ...parts,
  kind: "ValidatingAdmissionPolicyBinding",
  plural: "validatingadmissionpolicybindings",
  hasStatus: false,
});

const name = "keep-cluster.pcg.test";
const probe = "keep-cluster-probe";

export interface KeptCluster {
  /** Resolves when a deletion is refused. */
  forbid(): Promise<void>;
  /** Resolves when one is not refused any more. */
  allow(): Promise<void>;
}

/** A ConfigMap of the namespace is kept with it, and shows whether the API has taken the policy in by now. */
export async function keepCluster(store: OwnedStore, namespace: string): Promise<KeptCluster> {
  const rules = [
    { group: cluster.group, resource: cluster.plural },
    { group: configMap.group, resource: configMap.plural },
  ].map(({ group: of, resource }) => ({
    apiGroups: [of],
    apiVersions: ["*"],
    operations: ["DELETE"],
    resources: [resource],
  }));
  const isCopy = `has(oldObject.metadata.annotations) && "${marks.id}" in oldObject.metadata.annotations`;
  const isKept = `oldObject.kind == "Cluster" ? !(${isCopy}) : oldObject.metadata.name == "${probe}"`;
  await store.create(policy, {
    metadata: { name },
    spec: {
      failurePolicy: "Fail",
      matchConstraints: { resourceRules: rules },
      validations: [
        {
          expression: `oldObject.metadata.namespace != "${namespace}" || !(${isKept})`,
          message: "the test keeps the cluster",
        },
      ],
    },
  } as never);
  const key = { namespace, name: probe };
  /** Tries to delete the probe; false where that is refused. */
  const probeGoes = async () => {
    if (!(await store.get(configMap, key))) await store.create(configMap, { metadata: key });
    try {
      await store.delete(configMap, key);
      return true;
    } catch (error) {
      if (isFault(error, "Invalid", "Forbidden")) return false;
      throw error;
    }
  };
  return {
    async forbid() {
      await store.create(binding, {
        metadata: { name },
        spec: { policyName: name, validationActions: ["Deny"] },
      } as never);
      await until("the Cluster is kept", async () => !(await probeGoes()));
    },
    async allow() {
      await store.delete(binding, { name });
      await until("the Cluster is kept no more", probeGoes);
    },
  };
}

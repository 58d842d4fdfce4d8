// What this API refuses besides what upstream's webhooks do. Kubernetes' own admission policies: no program of ours is asked. Pure.
import type { Resource } from "#core";

const name = "pcg-vspherecluster-identity";

/**
 * A VSphereCluster brings its own vSphere login. Without one CAPV would take its manager's, which is empty here: it would try it at the
 * vCenter for ever, and whoever made the cluster would learn of a wrong password that nobody ever set.
 */
export const policies: readonly Resource[] = [
  {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicy",
    metadata: { name },
    spec: {
      failurePolicy: "Fail",
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: ["infrastructure.cluster.x-k8s.io"],
            apiVersions: ["*"],
            operations: ["CREATE", "UPDATE"],
            resources: ["vsphereclusters"],
          },
        ],
      },
      validations: [
        {
          expression: "has(object.spec.identityRef) && object.spec.identityRef.name != ''",
          message:
            "spec.identityRef is missing: name the Secret with this cluster's vSphere login; the gateway has none of its own",
        },
      ],
    },
  },
  {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicyBinding",
    metadata: { name },
    spec: { policyName: name, validationActions: ["Deny"] },
  },
].map((each) => each as unknown as Resource);

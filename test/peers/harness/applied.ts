// What Jet applies, as an API server has it.
import type { Kind, ResourceStore } from "#core";
import {
  clusterRole,
  clusterRoleBinding,
  customResourceDefinition,
  deployment,
  mutatingWebhooks,
  role,
  roleBinding,
  secret,
  service,
  serviceAccount,
  validatingWebhooks,
} from "#proto";

const kinds: readonly Kind[] = [
  clusterRole,
  clusterRoleBinding,
  customResourceDefinition,
  deployment,
  mutatingWebhooks,
  role,
  roleBinding,
  secret,
  service,
  serviceAccount,
  validatingWebhooks,
];

/** "Deployment/capi-controller-manager" to its generation, or its revision where it has none: status does not count. */
export async function applied(store: ResourceStore): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const kind of kinds) {
    for (const { metadata } of (await store.list(kind)).items) {
      const { name, generation, resourceVersion } = metadata;
      found.set(`${kind.kind}/${name}`, String(generation ?? resourceVersion));
    }
  }
  return found;
}

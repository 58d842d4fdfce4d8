// Where a cluster's images come from: what its wish says goes before what the gateway was told.
import { Secret, type ResourceStore } from "#core";
import { secret, secretText, type Spa } from "#proto";
import type { ImageSource } from "../ports.ts";
import type { ImagesSeen } from "./seen.ts";

const key = ".dockerconfigjson";

export async function readImages(
  store: ResourceStore,
  systemNamespace: string,
  { spec }: Pick<Spa, "spec">,
  told: ImageSource,
): Promise<ImagesSeen> {
  const { registry, pullSecretRef } = spec.images ?? {};
  const mirror = registry ?? told.mirror;
  if (!pullSecretRef) return { source: { ...told, mirror }, problems: [] };
  const { name } = pullSecretRef;
  const object = await store.get(secret, { namespace: systemNamespace, name });
  const config = secretText(object, key);
  if (object && config) {
    const pullSecret = { config: new Secret(config), version: object.metadata.resourceVersion };
    return { source: { mirror, pullSecret }, problems: [] };
  }
  const where = `Secret ${systemNamespace}/${name}`;
  const message = object
    ? `${where} lacks ${key}; it must be of type kubernetes.io/dockerconfigjson`
    : `${where} does not exist; create it with type kubernetes.io/dockerconfigjson`;
  return { source: { mirror }, problems: [{ field: "images.pullSecretRef.name", message }] };
}

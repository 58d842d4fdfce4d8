// Makes an API server call our webhooks: our authority in the configurations that name our Service, or whole configurations by URL.
import {
  defineKind,
  groupResource,
  isFault,
  modify,
  type Kind,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  customResourceDefinition,
  inClusterPoolKinds,
  ipamGroup,
  metal3IPAddress,
  metal3IPClaim,
  metal3IPPool,
} from "#proto";

export interface ClientConfig {
  url?: string;
  service?: { namespace: string; name: string; path?: string; port?: number };
  caBundle?: string;
}

export interface WebhookConfiguration extends Resource {
  webhooks?: (Record<string, unknown> & { name: string; clientConfig: ClientConfig })[];
}

export const validatingWebhookConfiguration: Kind<WebhookConfiguration> = defineKind<WebhookConfiguration>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingWebhookConfiguration",
  plural: "validatingwebhookconfigurations",
  namespaced: false,
  hasStatus: false,
});

/** Where an API server reaches us. */
export type Reach =
  | { readonly kind: "service"; readonly namespace: string; readonly name: string }
  | { readonly kind: "url"; readonly url: string };

export const configurationName = "pcg-ipam";

/** Kinds that our controllers write all the time: while our webhooks are away, addresses are given out all the same. */
const steadyKinds: readonly Kind[] = [metal3IPClaim as Kind, metal3IPAddress as Kind];

/** What admission has a word in. */
export const admittedKinds: readonly Kind[] = [...inClusterPoolKinds, metal3IPPool as Kind, ...steadyKinds];

/** Upstream's path for a kind of ours, below which our server answers as well. Pure. */
export function validationPath({ group, version, kind }: Pick<Kind, "group" | "version" | "kind">): string {
  return `/validate-${group.replaceAll(".", "-")}-${version}-${kind.toLowerCase()}`;
}

/** How to reach a path of ours. Pure. */
export function clientConfig(reach: Reach, path: string, ca?: string): ClientConfig {
  const trust = ca === undefined ? {} : { caBundle: Buffer.from(ca, "utf8").toString("base64") };
  return reach.kind === "url"
    ? { url: reach.url.replace(/\/$/, "") + path, ...trust }
    : { service: { namespace: reach.namespace, name: reach.name, path }, ...trust };
}

/** The configuration for admission of these kinds. Pure. */
export function validatingWebhooks(kinds: readonly Kind[], reach: Reach, ca?: string): WebhookConfiguration {
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingWebhookConfiguration",
    metadata: { name: configurationName } as Resource["metadata"],
    webhooks: kinds.map((kind) => ({
      name: `validation.${kind.singular}.${kind.group}`,
      admissionReviewVersions: ["v1"],
      clientConfig: clientConfig(reach, validationPath(kind), ca),
      failurePolicy: steadyKinds.includes(kind) ? "Ignore" : "Fail",
      matchPolicy: "Equivalent",
      sideEffects: "None",
      timeoutSeconds: 10,
      rules: [
        {
          apiGroups: [kind.group],
          apiVersions: [kind.version],
          operations: kind.group === ipamGroup ? ["CREATE", "UPDATE", "DELETE"] : ["CREATE", "UPDATE"],
          resources: [kind.plural],
        },
      ],
    })),
  };
}

/**
 * Registers by URL, or writes our authority wherever the API server was told to call our Service. What was not applied (by
 * `pcg ipam manifests`) is not there, and then nothing happens. Returns what was written.
 */
export async function register(
  store: ResourceStore,
  kinds: readonly Kind[],
  reach: Reach,
  ca: string,
): Promise<readonly string[]> {
  const written: string[] = [];
  const caBundle = Buffer.from(ca, "utf8").toString("base64");
  const isOurs = ({ service, url }: ClientConfig = {}) =>
    reach.kind === "url"
      ? url !== undefined
      : service?.namespace === reach.namespace && service.name === reach.name;

  const key = { name: configurationName };
  const wanted = validatingWebhooks(kinds, reach, ca);
  if (await store.get(validatingWebhookConfiguration, key)) {
    await modify(store, validatingWebhookConfiguration, key, (object) => {
      if (reach.kind === "url")
        return { ...object, ...(wanted.webhooks ? { webhooks: wanted.webhooks } : {}) };
      for (const webhook of object.webhooks ?? [])
        if (isOurs(webhook.clientConfig)) webhook.clientConfig.caBundle = caBundle;
      return;
    });
    written.push(configurationName);
  } else if (reach.kind === "url") {
    await store.create(validatingWebhookConfiguration, wanted).catch((error: unknown) => {
      if (!isFault(error, "AlreadyExists")) throw error;
    });
    written.push(configurationName);
  }

  for (const kind of inClusterPoolKinds) {
    const name = groupResource(kind);
    const crd = await store.get(customResourceDefinition, { name });
    const conversion = (crd?.spec as { conversion?: Conversion } | undefined)?.conversion;
    if (conversion?.strategy !== "Webhook" || !isOurs(conversion.webhook?.clientConfig)) continue;
    await modify(store, customResourceDefinition, { name }, (object) => {
      const spec = object.spec as { conversion?: Conversion };
      const config = spec.conversion?.webhook?.clientConfig;
      if (config) config.caBundle = caBundle;
    });
    written.push(name);
  }
  return written;
}

interface Conversion {
  strategy: string;
  webhook?: { clientConfig?: ClientConfig };
}

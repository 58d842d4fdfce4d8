// What upstream's CRDs and webhook configurations lack before they can be applied: who answers, which contract they keep, and names
// that do not collide. Pure; the same for processes on loopback (`clientConfig.url`) and for Deployments (`clientConfig.service`).
import type { Resource } from "#core";

/** Where an API server finds a webhook. `caBundle` is base64 of PEM. */
export type ClientConfig =
  | { readonly url: string; readonly caBundle: string }
  | {
      readonly service: {
        readonly name: string;
        readonly namespace: string;
        readonly path: string;
        readonly port?: number;
      };
      readonly caBundle: string;
    };

/** The clientConfig for a webhook with this path. */
export type ToClientConfig = (path: string) => ClientConfig;

/** The path under which every manager of Cluster API and CAPV converts. */
export const conversionPath = "/convert";

/** `caBundle` of a certificate in PEM. */
export function caBundle(certificate: string): string {
  return Buffer.from(certificate).toString("base64");
}

/** Webhooks that are reached on loopback, for managers that run as processes beside the API server. */
export function byUrl(port: number, certificate: string): ToClientConfig {
  return (path) => ({ url: `https://127.0.0.1:${port}${path}`, caBundle: caBundle(certificate) });
}

/** Webhooks that are reached through a Service, for managers that run as Deployments. */
export function byService(name: string, namespace: string, certificate: string, port = 443): ToClientConfig {
  return (path) => ({ service: { name, namespace, path, port }, caBundle: caBundle(certificate) });
}

/**
 * Which version of a kind keeps which contract: Cluster API reads this from the CRD's labels and from nowhere else. Upstream names the two
 * alike. A version that the CRD has not is not promised: Cluster API would speak a contract that nobody there understands.
 */
function contractsOf({ versions }: CrdSpec): Record<string, string> {
  const kept = ["v1beta1", "v1beta2"].filter((contract) => versions.some(({ name }) => name === contract));
  return Object.fromEntries(kept.map((contract) => [`cluster.x-k8s.io/${contract}`, contract]));
}

/** Kinds whose dependants `clusterctl move` takes along; it looks only at kinds that bear the first label. */
const discovered = "clusterctl.cluster.x-k8s.io";
const moved = `${discovered}/move-hierarchy`;
const hierarchies = new Set([
  "clusters.cluster.x-k8s.io",
  "vsphereclusters.infrastructure.cluster.x-k8s.io",
  "vsphereclusteridentities.infrastructure.cluster.x-k8s.io",
]);

interface CrdSpec {
  readonly versions: readonly { readonly name: string }[];
  readonly [field: string]: unknown;
}

/** A CRD with its contract labels and, where it has several versions, the webhook that converts between them. */
export function patchCrd(crd: Resource, toClientConfig: ToClientConfig): Resource {
  const spec = crd.spec as CrdSpec;
  const labels = {
    ...crd.metadata.labels,
    ...contractsOf(spec),
    [discovered]: "",
    ...(hierarchies.has(crd.metadata.name) ? { [moved]: "" } : {}),
  };
  const conversion = {
    strategy: "Webhook",
    webhook: {
      conversionReviewVersions: ["v1", "v1beta1"],
      clientConfig: toClientConfig(conversionPath),
    },
  };
  return {
    ...withoutStatus(crd),
    metadata: { ...crd.metadata, labels },
    spec: spec.versions.length > 1 ? { ...spec, conversion } : spec,
  };
}

const vmWebhook = "validation.vspherevm.infrastructure.cluster.x-k8s.io";

/**
 * CAPV's webhook refuses any change of a VSphereVM's server: it cannot know a vCenter that was renamed from another one. The gateway does
 * (gateway/follow-vcenter.ts), and tells the VSphereCluster, from where CAPV itself brings it to the VMs. So an update in which the server
 * changes, perhaps with the certificate, and nothing else of the spec, is not sent to the webhook.
 */
const moreThanTheServer = {
  name: "more-than-the-vcenter",
  expression:
    "request.operation != 'UPDATE' || object.spec.?server == oldObject.spec.?server || " +
    "!(object.spec.all(k, k in ['server', 'thumbprint'] || (k in oldObject.spec && object.spec[k] == oldObject.spec[k])) && " +
    "oldObject.spec.all(k, k in ['server', 'thumbprint'] || k in object.spec))",
};

function conditionsOf({ matchConditions }: Webhook): readonly object[] {
  const have = (matchConditions ?? []) as readonly { readonly name?: string }[];
  return have.filter(({ name }) => name !== moreThanTheServer.name);
}

interface WebhookConfiguration extends Resource {
  webhooks?: readonly Webhook[];
}

interface Webhook {
  readonly name: string;
  readonly clientConfig: { readonly service?: { readonly path?: string }; readonly url?: string };
  readonly [field: string]: unknown;
}

/**
 * Webhook configurations whose every webhook is found where `toClientConfig` says. All providers ship them under one name, so the
 * provider's prefix ("capi-", as upstream's releases have it) goes before.
 */
export function patchWebhooks(
  objects: readonly Resource[],
  prefix: string,
  toClientConfig: ToClientConfig,
): Resource[] {
  return objects.map((object: WebhookConfiguration) => {
    const { name } = object.metadata;
    const webhooks = object.webhooks?.map((webhook) => ({
      ...webhook,
      ...(webhook.name === vmWebhook
        ? { matchConditions: [...conditionsOf(webhook), moreThanTheServer] }
        : {}),
      clientConfig: toClientConfig(webhook.clientConfig.service?.path ?? "/"),
    }));
    return {
      ...object,
      metadata: { ...object.metadata, name: name.startsWith(prefix) ? name : prefix + name },
      ...(webhooks ? { webhooks } : {}),
    };
  });
}

/** What upstream's generator leaves in a CRD's status is not ours to write. */
function withoutStatus(crd: Resource): Resource {
  const { status: _status, ...rest } = crd;
  return rest;
}

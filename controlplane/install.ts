// CRDs and webhooks in the API: applied server-side, again whenever the bundle, a port or the authority changes.
//
//   N1. What is installed is written down in the same API: a restored etcd says by itself whether it lacks something.
//   N2. CRDs first, and the managers start only when every kind is served: a manager that misses one ends.
//   N3. A webhook configuration of an earlier bundle that this one does not have is taken away; a CRD never is.
//   N4. Nothing is written over what a newer bundle installed, nor where objects are stored in a version that is not known any more.
import { createHash } from "node:crypto";
import { Fault, sleep, type Clock, type Logger, type Resource } from "#core";
import type { KubeClient } from "#core/store/kube/client.ts";
import type { Bundle } from "./bundle.ts";
import { policies } from "./policies.ts";
import type { PortName, Ports } from "./ports.ts";
import { withoutDescriptions } from "./schemas.ts";
import { judgeChange, parseVersions, refusal, versionsOf, type Versions } from "./upgrade.ts";
import { providerNames, providers, type ProviderName } from "./versions.ts";
import { byUrl, patchCrd, patchWebhooks } from "./webhooks.ts";

export interface Installation {
  readonly crds: readonly Resource[];
  readonly webhooks: readonly Resource[];
  readonly policies: readonly Resource[];
  readonly versions: Versions;
  /** Changes whenever any of it does. */
  readonly digest: string;
}

const fieldManager = "pcg-controlplane";
const managedBy = { "app.kubernetes.io/managed-by": fieldManager };

/** What must be there for managers that run as processes beside the API server. Pure. */
export function installationOf(bundle: Bundle, ports: Ports, ca: string): Installation {
  const toClientConfig = (provider: ProviderName) =>
    byUrl(ports[`${providers[provider].program}.webhook` as PortName], ca);
  const crds = providerNames.flatMap((provider) =>
    bundle.providers[provider].crds.map((crd) =>
      withoutDescriptions(patchCrd(crd, toClientConfig(provider))),
    ),
  );
  const webhooks = providerNames.flatMap((provider) => {
    const { prefix, label } = providers[provider];
    return patchWebhooks(bundle.providers[provider].webhooks, prefix, toClientConfig(provider)).map(
      (object) => labelled(object, { ...managedBy, "cluster.x-k8s.io/provider": label }),
    );
  });
  const versions = versionsOf(bundle);
  const digest = createHash("sha256")
    .update(JSON.stringify([crds, webhooks, policies, versions]))
    .digest("hex");
  return { crds, webhooks, policies, versions, digest };
}

function labelled(object: Resource, labels: Readonly<Record<string, string>>): Resource {
  return { ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels, ...labels } } };
}

export interface InstallDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Brings the API to this installation; nothing is written where it is there already (N1). */
export async function install(
  wanted: Installation,
  deps: InstallDeps,
  signal: AbortSignal,
): Promise<"unchanged" | "installed"> {
  const began = deps.clock.now();
  const present = await installed(deps.client, signal);
  if (present.digest === wanted.digest) return "unchanged";
  await expectReadable(wanted, present.versions, deps.client, signal);
  await installCrds(wanted.crds, deps, signal);
  await each([...wanted.policies, ...wanted.webhooks], (object) => apply(deps.client, object, signal));
  await prune(wanted.webhooks, deps, signal);
  await apply(deps.client, record(wanted), signal);
  deps.log.info("installed CRDs and webhooks", {
    crds: wanted.crds.length,
    webhooks: wanted.webhooks.length,
    tookMs: deps.clock.now() - began,
  });
  return "installed";
}

/** Applies CRDs and resolves when their kinds are served. */
export async function installCrds(
  crds: readonly Resource[],
  deps: InstallDeps,
  signal: AbortSignal,
): Promise<void> {
  await each(crds, (crd) => apply(deps.client, crd, signal));
  await served(crds, deps, signal);
}

/** Creates it or makes it so: we own what we name, whoever else has set it. */
export async function apply(client: KubeClient, object: Resource, signal?: AbortSignal): Promise<void> {
  await client.fetch({
    method: "PATCH",
    path: pathOf(object),
    query: { fieldManager, force: "true" },
    body: object,
    contentType: "application/apply-patch+yaml",
    doing: `applying ${object.kind} ${object.metadata.name}`,
    signal,
  });
}

const recordName = "pcg-controlplane";

function record({ digest, versions }: Pick<Installation, "digest" | "versions">): Resource {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: "kube-system", name: recordName, labels: managedBy },
    data: { installed: digest, versions: JSON.stringify(versions) },
  } as unknown as Resource;
}

async function installed(
  client: KubeClient,
  signal: AbortSignal,
): Promise<{ readonly digest?: string | undefined; readonly versions?: Versions | undefined }> {
  const path = `/api/v1/namespaces/kube-system/configmaps/${recordName}`;
  const answer = await client.ask({ method: "GET", path, doing: "reading what is installed", signal });
  if (answer.status !== 200) return {};
  const { data = {} } = answer.body as { data?: Record<string, string> };
  return { digest: data["installed"], versions: parseVersions(data["versions"]) };
}

/** N4 */
async function expectReadable(
  wanted: Installation,
  present: Versions | undefined,
  client: KubeClient,
  signal: AbortSignal,
): Promise<void> {
  const change = present && judgeChange(present, wanted.versions);
  if (change?.kind === "refused") throw refusal(change, "what is installed in this Kubernetes API");
  const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const list = await client.fetch({ method: "GET", path, doing: "listing the CRDs that are there", signal });
  const left = leftBehind(wanted.crds, (list as { items: readonly Resource[] }).items);
  if (left.length === 0) return;
  throw new Fault(
    "Invalid",
    `${left.join("; ")}. Install a gateway of a version in between first and let it run: Cluster API writes every object anew in the ` +
      "present version. Then install this one",
  );
}

/** In words, kinds of which objects are stored in a version that the wanted CRD lacks: the API server would refuse it. Pure. */
export function leftBehind(wanted: readonly Resource[], present: readonly Resource[]): string[] {
  const here = new Map(present.map((crd) => [crd.metadata.name, crd]));
  return wanted.flatMap((crd) => {
    const known = new Set((crd.spec as CrdSpec).versions.map(({ name }) => name));
    const { storedVersions = [] } = (here.get(crd.metadata.name)?.status ?? {}) as {
      storedVersions?: string[];
    };
    const lost = storedVersions.filter((version) => !known.has(version));
    return lost.length === 0
      ? []
      : [
          `objects of ${crd.metadata.name} may be stored as ${lost.join(", ")}, which this bundle does not know any more`,
        ];
  });
}

interface CrdSpec {
  readonly group: string;
  readonly names: { readonly plural: string };
  readonly versions: readonly { readonly name: string; readonly served: boolean }[];
}

/** Until every version of every kind can be found in its group (N2): "Established" alone comes a moment before that. */
async function served(
  crds: readonly Resource[],
  { client, clock }: InstallDeps,
  signal: AbortSignal,
): Promise<void> {
  const missing = new Set(
    crds.flatMap((crd) => {
      const { group, names, versions } = crd.spec as CrdSpec;
      return versions.filter((each) => each.served).map(({ name }) => `${group}/${name}/${names.plural}`);
    }),
  );
  for (const deadline = clock.now() + 60_000; ;) {
    for (const groupVersion of new Set([...missing].map((each) => each.slice(0, each.lastIndexOf("/"))))) {
      for (const plural of await kindsIn(client, groupVersion, signal)) {
        missing.delete(`${groupVersion}/${plural}`);
      }
    }
    if (missing.size === 0) return;
    if (clock.now() > deadline) {
      throw new Fault("TimedOut", `the API server does not serve ${[...missing].join(", ")}`);
    }
    await sleep(clock, 50, signal);
  }
}

async function kindsIn(client: KubeClient, groupVersion: string, signal: AbortSignal): Promise<string[]> {
  const doing = `asking what there is in ${groupVersion}`;
  const answer = await client.ask({ method: "GET", path: `/apis/${groupVersion}`, doing, signal });
  if (answer.status !== 200) return [];
  const { resources = [] } = answer.body as { resources?: readonly { name: string }[] };
  return resources.map(({ name }) => name);
}

const webhookPlurals: Readonly<Record<string, string>> = {
  MutatingWebhookConfiguration: "mutatingwebhookconfigurations",
  ValidatingWebhookConfiguration: "validatingwebhookconfigurations",
};

const plurals: Readonly<Record<string, string>> = {
  ...webhookPlurals,
  ConfigMap: "configmaps",
  CustomResourceDefinition: "customresourcedefinitions",
  ValidatingAdmissionPolicy: "validatingadmissionpolicies",
  ValidatingAdmissionPolicyBinding: "validatingadmissionpolicybindings",
};

/** N3 */
async function prune(
  wanted: readonly Resource[],
  { client, log }: Pick<InstallDeps, "client" | "log">,
  signal: AbortSignal,
): Promise<void> {
  for (const [kind, plural] of Object.entries(webhookPlurals)) {
    const path = `/apis/admissionregistration.k8s.io/v1/${plural}`;
    const query = { labelSelector: `app.kubernetes.io/managed-by=${fieldManager}` };
    const list = await client.fetch({ method: "GET", path, query, doing: `listing ${plural}`, signal });
    const { items } = list as { items: readonly Resource[] };
    const keep = new Set(wanted.filter((each) => each.kind === kind).map((each) => each.metadata.name));
    for (const { metadata } of items.filter((each) => !keep.has(each.metadata.name))) {
      log.info("removing a webhook configuration", { kind, name: metadata.name });
      const doing = `deleting ${kind} ${metadata.name}`;
      await client.fetch({ method: "DELETE", path: `${path}/${metadata.name}`, doing, signal });
    }
  }
}

/** Takes all our webhook configurations away, and the note that they are there: the next `install` brings them back. Whose they were stays. */
export async function takeWebhooksOff(
  { client, log }: Pick<InstallDeps, "client" | "log">,
  signal: AbortSignal,
): Promise<void> {
  const path = `/api/v1/namespaces/kube-system/configmaps/${recordName}`;
  const body = { data: { installed: "" } };
  const contentType = "application/merge-patch+json";
  await client.ask({
    method: "PATCH",
    path,
    body,
    contentType,
    doing: "forgetting what is installed",
    signal,
  });
  await prune([], { client, log }, signal);
}

function pathOf({ kind, apiVersion, metadata: { name, namespace } }: Resource): string {
  const plural = plurals[kind];
  if (!plural) throw new Fault("Bug", `no plural is known for ${kind}`);
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${root}${namespace ? `/namespaces/${namespace}` : ""}/${plural}/${name}`;
}

/** Six at a time: an API server that starts is not helped by forty. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 6 }, worker));
}

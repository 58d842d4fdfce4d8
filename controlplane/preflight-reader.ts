// What there is in an existing management cluster, for preflight.ts to judge.
import { Fault, type Clock, type Kind, type Resource } from "#core";
import { KubeClient } from "#core/store/kube/client.ts";
import { connectionFrom, type KubeAccess } from "#core/store/kube/connection.ts";
import { clusterApiKinds, ipamKinds, ownKinds } from "#proto";
import { judgeExternal, type Findings, type InstalledProvider, type Need } from "./preflight.ts";

const all = ["get", "list", "watch", "create", "update", "patch", "delete"];

/** What the gateway does in a management cluster. */
export const gatewayNeeds: readonly Need[] = [
  { group: "", resource: "namespaces", verbs: all },
  { group: "", resource: "secrets", verbs: all },
  { group: "", resource: "configmaps", verbs: all },
  { group: "", resource: "events", verbs: ["create", "list"] },
  { group: "coordination.k8s.io", resource: "leases", verbs: ["get", "create", "update"] },
  { group: "apiextensions.k8s.io", resource: "customresourcedefinitions", verbs: ["get", "list"] },
];

const kinds: readonly Kind[] = [...clusterApiKinds, ...ipamKinds, ...ownKinds];

/** Resolves when this cluster will do. Invalid, with everything that stands in the way, when not. */
export async function preflightExternal(
  access: KubeAccess,
  { clock }: { readonly clock: Clock },
  signal?: AbortSignal,
): Promise<void> {
  const connection = await connectionFrom(access);
  const client = new KubeClient(connection, clock, 30_000);
  try {
    const problems = judgeExternal(await findings(client, signal), kinds);
    if (problems.length === 0) return;
    const list = problems.map(({ field, message }) => `${field} ${message}`).join("; ");
    throw new Fault("Invalid", `the management cluster at ${connection.server} will not do: ${list}`, {
      problems,
    });
  } finally {
    await client.close();
  }
}

async function findings(client: KubeClient, signal: AbortSignal | undefined): Promise<Findings> {
  const version = (await client.fetch({
    method: "GET",
    path: "/version",
    doing: "asking the management cluster for its version",
    signal,
  })) as { gitVersion?: string };
  const crds = await listed(client, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", signal);
  return {
    kubernetes: version.gitVersion ?? "unknown",
    ...(crds ? { crds } : {}),
    providers: await providersOf(client, crds ?? [], signal),
    denied: await deniedOf(client, signal),
  };
}

/** Undefined where it is forbidden. */
async function listed(
  client: KubeClient,
  path: string,
  signal: AbortSignal | undefined,
): Promise<readonly Resource[] | undefined> {
  const answer = await client.ask({ method: "GET", path, doing: `listing ${path}`, signal });
  if (answer.status === 403 || answer.status === 404) return undefined;
  if (answer.status >= 300) throw new Fault("Unavailable", `listing ${path}: status ${answer.status}`);
  return (answer.body as { items?: readonly Resource[] }).items ?? [];
}

async function providersOf(
  client: KubeClient,
  crds: readonly Resource[],
  signal: AbortSignal | undefined,
): Promise<InstalledProvider[]> {
  if (!crds.some(({ metadata }) => metadata.name === "providers.clusterctl.cluster.x-k8s.io")) return [];
  const found = await listed(client, "/apis/clusterctl.cluster.x-k8s.io/v1alpha3/providers", signal);
  return (found ?? []).map((each) => ({
    name: each.metadata.name,
    version: (each as Resource & { version?: string }).version ?? "unknown",
  }));
}

async function deniedOf(client: KubeClient, signal: AbortSignal | undefined): Promise<Findings["denied"]> {
  const ours = kinds.map(({ group, plural }) => ({ group, resource: plural, verbs: all }));
  const questions = [...gatewayNeeds, ...ours].flatMap(({ verbs, ...rest }) =>
    verbs.map((verb) => ({ ...rest, verb })),
  );
  const may = async (question: (typeof questions)[number]) => {
    const answer = (await client.fetch({
      method: "POST",
      path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
      body: {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SelfSubjectAccessReview",
        spec: { resourceAttributes: question },
      },
      doing: `asking whether we may ${question.verb} ${question.resource}`,
      signal,
    })) as { status?: { allowed?: boolean } };
    return answer.status?.allowed === true;
  };
  const allowed = await Promise.all(questions.map(may));
  return questions.filter((_, index) => !allowed[index]);
}

// CustomResourceDefinitions on a real API server.
import { Fault, defineKind, isFault, systemClock, type OwnedStore, type Resource } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { asker, type Asker } from "./ask.ts";
import type { Kube } from "./kube.ts";

interface Crd extends Resource {
  status?: {
    conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

export const crdKind = defineKind<Crd>({
  group: "apiextensions.k8s.io",
  version: "v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  namespaced: false,
});

/**
 * Creates these CRDs and waits until each is Established, its objects can be written, and its schema is published: kubectl explain
 * reads that, and a server that is busy publishes it seconds later.
 */
export async function applyCrds(
  kube: Kube,
  crds: readonly Readonly<Record<string, unknown>>[],
): Promise<void> {
  const store = await kubeStore(kube.kubeconfig, { clock: systemClock });
  const ask = asker(kube);
  try {
    await Promise.all(crds.map((crd) => store.create(crdKind, crd as unknown as Crd)));
    for (const crd of crds) await established(store, ask, (crd as unknown as Crd).metadata.name);
  } finally {
    ask.close();
    await store.close();
  }
}

async function established(store: OwnedStore, ask: Asker, name: string): Promise<void> {
  let last: Crd | undefined;
  for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
    last = await store.get(crdKind, { name });
    const conditions = new Map(last?.status?.conditions?.map((each) => [each.type, each]));
    const refused = conditions.get("NonStructuralSchema");
    if (refused?.status === "True") throw new Fault("Invalid", `the schema of ${name}: ${refused.message}`);
    const isEstablished = conditions.get("Established")?.status === "True";
    if (isEstablished && (await isServed(store, last!)) && (await isPublished(ask, last!))) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Fault("TimedOut", `${name} is not established: ${JSON.stringify(last?.status?.conditions)}`);
}

interface CrdSpec {
  readonly group: string;
  readonly names: { readonly kind: string; readonly plural: string };
  readonly versions: readonly { readonly name: string; readonly served: boolean }[];
  readonly scope: string;
}

/** Whether the schema of every served version is in the OpenAPI document of its group. */
async function isPublished(ask: Asker, crd: Crd): Promise<boolean> {
  const { group, names, versions } = crd.spec as CrdSpec;
  for (const { name } of versions.filter((each) => each.served)) {
    const { status, body } = await ask("GET", `/openapi/v3/apis/${group}/${name}`);
    const paths = Object.keys((body["paths"] as object | undefined) ?? {});
    if (status !== 200 || !paths.some((path) => path.endsWith(`/${names.plural}`))) return false;
  }
  return true;
}

/** A server says Established a moment before it serves the kind. */
async function isServed(store: OwnedStore, crd: Crd): Promise<boolean> {
  const { group, names, versions, scope } = crd.spec as CrdSpec;
  const namespaced = scope === "Namespaced";
  try {
    for (const { name } of versions.filter((each) => each.served)) {
      await store.list(defineKind({ group, version: name, ...names, namespaced }), { limit: 1 });
    }
    return true;
  } catch (error) {
    if (isFault(error, "NotFound", "Unavailable", "Busy")) return false;
    throw error;
  }
}

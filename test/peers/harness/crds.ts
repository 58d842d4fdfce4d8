// CustomResourceDefinitions on a real API server.
import { Fault, defineKind, isFault, systemClock, type OwnedStore, type Resource } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
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

/** Creates these CRDs and waits until each is Established, which is: until its objects can be written. */
export async function applyCrds(
  kube: Kube,
  crds: readonly Readonly<Record<string, unknown>>[],
): Promise<void> {
  const store = await kubeStore(kube.kubeconfig, { clock: systemClock });
  try {
    await Promise.all(crds.map((crd) => store.create(crdKind, crd as unknown as Crd)));
    for (const crd of crds) await established(store, (crd as unknown as Crd).metadata.name);
  } finally {
    await store.close();
  }
}

async function established(store: OwnedStore, name: string): Promise<void> {
  let last: Crd | undefined;
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    last = await store.get(crdKind, { name });
    const conditions = new Map(last?.status?.conditions?.map((each) => [each.type, each]));
    const refused = conditions.get("NonStructuralSchema");
    if (refused?.status === "True") throw new Fault("Invalid", `the schema of ${name}: ${refused.message}`);
    if (conditions.get("Established")?.status === "True" && (await isServed(store, last!))) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Fault("TimedOut", `${name} is not established: ${JSON.stringify(last?.status?.conditions)}`);
}

/** A server says Established a moment before it serves the kind. */
async function isServed(store: OwnedStore, crd: Crd): Promise<boolean> {
  const { group, names, versions, scope } = crd.spec as {
    group: string;
    names: { kind: string; plural: string };
    versions: readonly { name: string; served: boolean }[];
    scope: string;
  };
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

// Two real Kubernetes APIs with Cluster API's own CRDs, and clusters to move between them: the objects that the real controllers had
// written (test/golden), a cluster a namespace. No controllers run, so whatever changes is the mover's doing.
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { parseAllDocuments } from "yaml";
import { defineKind, systemClock, type Kind, type OwnedStore, type Resource } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import {
  clusterApiKinds,
  encode64,
  inClusterIPPool,
  inClusterPrefixPool,
  ipAddress,
  ipAddressClaim,
  namespace,
  secret,
  spa,
  type SpaSpec,
} from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { clusterNames, words } from "#proto/render/names.ts";
import { golden } from "#test/golden/read.ts";
import { readClosure, memberText } from "../../../jet/pivot/closure.ts";
import { holdsCredential } from "../../../jet/pivot/decide.ts";
import { identitySecret } from "../../../jet/render/cluster.ts";
import { wish } from "../../../jet/testing/world.ts";
import { applyCrds } from "../harness/crds.ts";
import { peerBundle } from "../harness/bundle.ts";
import { startKube, type Kube } from "../harness/kube.ts";

export type SideName = "gateway" | "workload";

export interface Side {
  readonly kube: Kube;
  readonly store: OwnedStore;
}

export interface Arena {
  readonly gateway: Side;
  readonly workload: Side;
  close(): Promise<void>;
}

export const clusterName = "c1";
const golden1 = [
  "cluster-api",
  "bootstrap-kubeadm",
  "control-plane-kubeadm",
  "infrastructure-vsphere",
] as const;

/** Two APIs, ready for clusters and for clusterctl. `dir` is an empty folder. */
export async function openArena(dir: string): Promise<Arena> {
  const crds = await allCrds();
  const open = async (name: SideName): Promise<Side> => {
    mkdirSync(join(dir, name), { recursive: true });
    const kube = await startKube({ dir: join(dir, name) });
    await applyCrds(kube, crds);
    const store = await kubeStore(kube.kubeconfig, { clock: systemClock });
    await writeInventory(store);
    return { kube, store };
  };
  const gateway = await open("gateway");
  const workload = await open("workload");
  return {
    gateway,
    workload,
    async close() {
      for (const { kube, store } of [gateway, workload]) {
        await store.close();
        await kube.stop();
      }
    },
  };
}

interface Crd {
  metadata: { name: string; labels?: Record<string, string> };
  spec: { versions: { storage: boolean }[]; conversion?: unknown };
}

/** Upstream's CRDs in their storage version alone, our own beside them; labelled as clusterctl wants them. */
async function allCrds(): Promise<Record<string, unknown>[]> {
  const bundle = await peerBundle();
  const folders = [join(bundle, "crds"), join(moduleFolder(), "cmd/clusterctl/config/crd/bases")];
  const upstream = folders.flatMap((folder) =>
    readdirSync(folder).flatMap((file) => crdsIn(readFileSync(join(folder, file), "utf8"))),
  );
  const ours = [inClusterIPPool, inClusterPrefixPool, spa].map((kind) => crdOf(kind) as unknown as Crd);
  return [...upstream, ...ours].map((crd) => {
    const root = /^(clusters|vsphereclusters|inclusterippools)\./.test(crd.metadata.name);
    const labels = {
      ...crd.metadata.labels,
      "cluster.x-k8s.io/v1beta2": "v1beta2",
      "clusterctl.cluster.x-k8s.io": "",
      ...(root ? { "clusterctl.cluster.x-k8s.io/move-hierarchy": "" } : {}),
    };
    const versions = crd.spec.versions.filter((version) => version.storage);
    return {
      ...crd,
      metadata: { ...crd.metadata, labels },
      spec: { ...crd.spec, versions, conversion: { strategy: "None" } },
    };
  });
}

/** YAML documents, or a list as JSON. */
function crdsIn(text: string): Crd[] {
  const values = text.startsWith("---")
    ? parseAllDocuments(text).map((each) => each.toJSON() as unknown)
    : [JSON.parse(text) as unknown];
  return values.flatMap((value) => {
    if (value === null) return [];
    return Array.isArray(value) ? (value as Crd[]) : ((value as { items?: Crd[] }).items ?? [value as Crd]);
  });
}

function moduleFolder(): string {
  const asked = spawnSync("go", ["list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/cluster-api"], {
    cwd: join(import.meta.dirname, "../capi"),
    encoding: "utf8",
  });
  if (asked.status !== 0) throw new Error(`go list: ${asked.stderr}`);
  return asked.stdout.trim();
}

const provider = defineKind({
  group: "clusterctl.cluster.x-k8s.io",
  version: "v1alpha3",
  kind: "Provider",
  plural: "providers",
});

const types: Readonly<Record<(typeof golden1)[number], readonly [string, string, string]>> = {
  "cluster-api": ["cluster-api", "CoreProvider", "v1.13.5"],
  "bootstrap-kubeadm": ["kubeadm", "BootstrapProvider", "v1.13.5"],
  "control-plane-kubeadm": ["kubeadm", "ControlPlaneProvider", "v1.13.5"],
  "infrastructure-vsphere": ["vsphere", "InfrastructureProvider", "v1.16.1"],
};

/** What clusterctl takes for installed. */
async function writeInventory(store: OwnedStore): Promise<void> {
  for (const name of golden1) {
    const [providerName, type, version] = types[name];
    const ns = `${name}-system`;
    await store.create(namespace, { metadata: { name: ns } });
    await store.create(provider, {
      metadata: {
        name,
        namespace: ns,
        labels: {
          "clusterctl.cluster.x-k8s.io": "",
          "cluster.x-k8s.io/provider": name,
          "clusterctl.cluster.x-k8s.io/core": "inventory",
        },
      },
      providerName,
      type,
      version,
    } as never);
  }
}

const kinds = new Map<string, Kind>(
  [...clusterApiKinds, secret, ipAddressClaim, ipAddress, inClusterIPPool].map((kind) => [kind.kind, kind]),
);

/** A cluster in its namespace on a side; the other side has the empty namespace. Returns what the side holds: "Kind/name", sorted. */
export async function seedCluster(arena: Arena, uid: string, on: SideName): Promise<string[]> {
  const names = clusterNames(uid, clusterName);
  for (const side of ["gateway", "workload"] as const)
    await arena[side].store.create(namespace, { metadata: { name: names.namespace } });
  const { store } = arena[on];
  const made = new Map<string, Resource>();
  const waiting = [...(await golden("capi-running")), ...(await golden("capi-secrets")), ...addresses()]
    .filter((object) => object.metadata.name !== "creds")
    .map((object) => (object.kind === "VSphereCluster" ? withIdentity(object, names.identity) : object));
  while (waiting.length > 0) {
    const at = waiting.findIndex((object) =>
      (object.metadata.ownerReferences ?? []).every((ref) => made.has(`${ref.kind}/${ref.name}`)),
    );
    const [object] = waiting.splice(Math.max(at, 0), 1);
    made.set(`${object!.kind}/${object!.metadata.name}`, await write(store, object!, names.namespace, made));
  }
  const owner = made.get(`VSphereCluster/${clusterName}`)!;
  const identity = credentialOf(uid);
  await store.create(secret, {
    ...identity,
    metadata: { ...identity.metadata, ownerReferences: [refTo(owner)] },
  } as never);
  return held(arena[on].store, uid);
}

export function credentialOf(uid: string) {
  return identitySecret(
    { clusterUid: uid, clusterName },
    { username: encode64("u"), password: encode64("p") },
  );
}

function refTo({ apiVersion, kind, metadata }: Resource) {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid };
}

function withIdentity(object: Resource, name: string): Resource {
  return { ...object, spec: { ...(object.spec as object), identityRef: { kind: "Secret", name } } };
}

/** A pool, and for each VM a claim and its address, as CAPV and an IPAM provider write them. */
function addresses(): Resource[] {
  const poolRef = { apiGroup: "ipam.cluster.x-k8s.io", kind: "InClusterIPPool", name: clusterName };
  const labels = { [words.clusterName]: clusterName };
  const thing = (kind: string, name: string, owner: string[], spec: object, status?: object) =>
    ({
      kind,
      metadata: {
        name,
        labels,
        ...(owner.length > 0 ? { ownerReferences: [{ kind: owner[0], name: owner[1] }] } : {}),
      },
      spec,
      ...(status ? { status } : {}),
    }) as unknown as Resource;
  const vms = ["c1-vv6bg", "c1-w-fktxk-d8rm2", "c1-w-fktxk-ppwc6"];
  return [
    thing("InClusterIPPool", clusterName, ["Cluster", clusterName], {
      addresses: ["10.1.0.5-10.1.0.9"],
      prefix: 24,
      gateway: "10.1.0.1",
    }),
    ...vms.flatMap((vm, at) => [
      thing(
        "IPAddressClaim",
        `${vm}-0-0`,
        ["VSphereVM", vm],
        { poolRef },
        { addressRef: { name: `${vm}-0-0` } },
      ),
      thing("IPAddress", `${vm}-0-0`, ["IPAddressClaim", `${vm}-0-0`], {
        address: `10.1.0.${at + 5}`,
        prefix: 24,
        gateway: "10.1.0.1",
        claimRef: { name: `${vm}-0-0` },
        poolRef,
      }),
    ]),
  ];
}

async function write(
  store: OwnedStore,
  object: Resource & { readonly data?: Record<string, string> },
  ns: string,
  made: ReadonlyMap<string, Resource>,
): Promise<Resource> {
  const kind = kinds.get(object.kind)!;
  const { name, labels, annotations, finalizers, ownerReferences } = object.metadata;
  const { status, metadata: _, ...body } = object;
  const data = body.data && Object.fromEntries(Object.keys(body.data).map((key) => [key, encode64(key)]));
  const draft = {
    ...body,
    ...(data ? { data } : {}),
    metadata: {
      name,
      namespace: ns,
      ...(labels ? { labels } : {}),
      ...(annotations ? { annotations } : {}),
      ...(finalizers ? { finalizers } : {}),
      ...(ownerReferences
        ? {
            ownerReferences: ownerReferences.map((ref) => ({
              ...ref,
              ...refTo(made.get(`${ref.kind}/${ref.name}`)!),
            })),
          }
        : {}),
    },
  };
  const written = await store.create(kind, draft as never);
  if (!status || !kind.hasStatus) return written;
  const { conditions, ...said } = status as { conditions?: { type: string }[] };
  // Nobody here answers a pause.
  const told = conditions?.filter((condition) => condition.type !== "Paused");
  return store.updateStatus(kind, { ...written, status: { ...said, ...(told ? { conditions: told } : {}) } });
}

/** "Kind/name" of what a side holds of a cluster, sorted. */
export async function held(store: OwnedStore, uid: string): Promise<string[]> {
  const { members } = await readClosure(store, clusterNames(uid, clusterName).namespace, clusterName);
  return members.map(memberText).sort();
}

export async function hasCredential(store: OwnedStore, uid: string): Promise<boolean> {
  const { namespace: ns, identity } = clusterNames(uid, clusterName);
  return holdsCredential(await store.get(secret, { namespace: ns, name: identity }));
}

/** The wish of a cluster, for its SPA. */
export function wishOf(uid: string): SpaSpec {
  return wish({ clusterUid: uid, clusterName });
}

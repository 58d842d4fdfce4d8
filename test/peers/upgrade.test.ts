// A control plane that an older Cluster API and CAPV have left behind, and the present bundle on it: objects that lie in etcd in the old
// storage version, written by nobody but a real API server with the older versions' own CRDs.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  openBundle,
  restoreControlPlane,
  snapshotsOf,
  startControlPlane,
  type Bundle,
  type ControlPlane,
} from "#controlplane";
import { installCrds } from "#controlplane/install.ts";
import { settleFolders, type Layout } from "#controlplane/layout.ts";
import { versionsOf, writeVersions, type Versions } from "#controlplane/upgrade.ts";
import { byUrl, patchCrd } from "#controlplane/webhooks.ts";
import {
  defineKind,
  jsonLogger,
  silentLogger,
  systemClock,
  type Draft,
  type Kind,
  type OwnedStore,
  type Resource,
} from "#core";
import { modify } from "#core/store/helpers.ts";
import { kubeStore } from "#core/store/kube-store.ts";
import { KubeClient } from "#core/store/kube/client.ts";
import { connectionFrom } from "#core/store/kube/connection.ts";
import { configMap } from "#proto";
import { older, olderCrds, peerBundle } from "./harness/bundle.ts";
import { crdKind } from "./harness/crds.ts";

const never = new AbortController().signal;
const namespace = "default";
const at = (name: string) => ({ namespace, name });
const group = (prefix: string) => `${prefix}cluster.x-k8s.io`;
const kind = (prefix: string, name: string) => (version: string) =>
  defineKind({ group: group(prefix), version, kind: name, plural: `${name.toLowerCase()}s` });
const clusters = kind("", "Cluster");
const deployments = kind("", "MachineDeployment");
const controlPlanes = kind("controlplane.", "KubeadmControlPlane");
const configTemplates = kind("bootstrap.", "KubeadmConfigTemplate");
const vsphereClusters = kind("infrastructure.", "VSphereCluster");
const machineTemplates = kind("infrastructure.", "VSphereMachineTemplate");

const ref = (prefix: string, refKind: string, name: string) => ({
  apiVersion: `${group(prefix)}/v1beta1`,
  kind: refKind,
  name,
  namespace,
});

/** A cluster as it was written for the older versions. Paused: nothing shall change but what the upgrade changes. */
const world: readonly { readonly of: (version: string) => Kind; readonly spec: object }[] = [
  {
    of: clusters,
    spec: {
      paused: true,
      clusterNetwork: { pods: { cidrBlocks: ["10.1.0.0/16"] }, services: { cidrBlocks: ["10.96.0.0/16"] } },
      controlPlaneEndpoint: { host: "10.0.0.10", port: 6443 },
      controlPlaneRef: ref("controlplane.", "KubeadmControlPlane", "old"),
      infrastructureRef: ref("infrastructure.", "VSphereCluster", "old"),
    },
  },
  {
    of: vsphereClusters,
    spec: {
      server: "vc.test",
      thumbprint: "AA:BB",
      controlPlaneEndpoint: { host: "10.0.0.10", port: 6443 },
      identityRef: { kind: "Secret", name: "old-identity" },
    },
  },
  {
    of: machineTemplates,
    spec: {
      template: {
        spec: {
          template: "ubuntu",
          datacenter: "DC0",
          cloneMode: "fullClone",
          numCPUs: 2,
          memoryMiB: 2048,
          diskGiB: 20,
          powerOffMode: "trySoft",
          network: {
            devices: [
              {
                networkName: "VM Network",
                addressesFromPools: [
                  { apiGroup: "ipam.cluster.x-k8s.io", kind: "InClusterIPPool", name: "old" },
                ],
              },
            ],
          },
        },
      },
    },
  },
  {
    of: controlPlanes,
    spec: {
      replicas: 3,
      version: "v1.30.4",
      machineTemplate: {
        infrastructureRef: ref("infrastructure.", "VSphereMachineTemplate", "old"),
        nodeDrainTimeout: "10m0s",
      },
      kubeadmConfigSpec: {
        clusterConfiguration: { apiServer: { certSANs: ["10.0.0.10"], extraArgs: { profiling: "false" } } },
        initConfiguration: { nodeRegistration: { kubeletExtraArgs: { "cloud-provider": "external" } } },
        preKubeadmCommands: ["true"],
      },
    },
  },
  {
    of: configTemplates,
    spec: {
      template: {
        spec: {
          joinConfiguration: { nodeRegistration: { kubeletExtraArgs: { "cloud-provider": "external" } } },
        },
      },
    },
  },
  {
    of: deployments,
    spec: {
      clusterName: "old",
      replicas: 2,
      selector: { matchLabels: { pool: "w" } },
      template: {
        metadata: { labels: { pool: "w" } },
        spec: {
          clusterName: "old",
          version: "v1.30.4",
          bootstrap: { configRef: ref("bootstrap.", "KubeadmConfigTemplate", "old") },
          infrastructureRef: ref("infrastructure.", "VSphereMachineTemplate", "old"),
        },
      },
    },
  },
];

let dir: string;
let layout: Layout;
let bundle: Bundle;
let was: Versions;
const lines: string[] = [];
const deps = {
  clock: systemClock,
  log: jsonLogger("info", (line) => void lines.push(line)),
  random: Math.random,
};

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-up-"));
  layout = await settleFolders(dir);
  bundle = await openBundle(await peerBundle());
  was = { ...versionsOf(bundle), ...older };
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

class Stop extends Error {}

/** The API alone, as it is when no manager runs yet; then everything ends. */
async function apiAlone(work: (store: OwnedStore, kubeconfig: string) => Promise<void>): Promise<void> {
  let failed: unknown;
  const beforeManagers = async ({ kubeconfig }: { readonly kubeconfig: string }) => {
    const store = await kubeStore(kubeconfig, { clock: systemClock });
    try {
      await work(store, kubeconfig);
    } catch (error) {
      failed = error;
    } finally {
      await store.close();
    }
    throw new Stop("that was all");
  };
  await expect(
    startControlPlane({ dataDir: dir, bundle, fsync: false, beforeManagers }, deps, never),
  ).rejects.toThrow("that was all");
  if (failed) throw failed as Error;
}

const stored = async (store: OwnedStore, crd: string) =>
  (await store.get(crdKind, { name: crd }))?.status as { storedVersions?: string[] } | undefined;

const record = (versions: Versions) => ({
  installed: "of another bundle",
  versions: JSON.stringify(versions),
});

async function makeOldWorld(store: OwnedStore, kubeconfig: string): Promise<void> {
  const connection = await connectionFrom(kubeconfig);
  const client = new KubeClient(connection, systemClock, 30_000);
  const crds = olderCrds().map((crd) => patchCrd(crd, byUrl(1, connection.ca!)));
  await installCrds(crds, { client, clock: systemClock, log: silentLogger }, never);
  await client.close();
  for (const { of, spec } of world)
    await store.create(of("v1beta1"), { metadata: at("old"), spec } as Draft<Resource>);
  const metadata = { namespace: "kube-system", name: "pcg-controlplane" };
  await store.create(configMap, { metadata, data: record(was) });
}

describe("a bundle on what an older one left behind", { timeout: 240_000 }, () => {
  let controlPlane: ControlPlane | undefined;
  let store: OwnedStore;

  beforeAll(async () => {
    await apiAlone(makeOldWorld);
    await writeVersions(layout, was);
  }, 120_000);

  afterAll(async () => {
    await store?.close();
    await controlPlane?.close();
  });

  it("takes a snapshot before anything else, once, also where the upgrade is interrupted", async () => {
    expect(await snapshotsOf(dir)).toEqual([]);
    await apiAlone(async (api) => {
      expect(await stored(api, "clusters.cluster.x-k8s.io")).toMatchObject({ storedVersions: ["v1beta1"] });
    });
    const [saved, ...more] = await snapshotsOf(dir);
    expect(more).toEqual([]);
    expect(saved?.path).toContain("/snapshots/upgrades/");
    expect(lines.join("\n")).toContain(
      `Cluster API ${was.capi} to ${versionsOf(bundle).capi}, CAPV ${was.capv} to ${versionsOf(bundle).capv}`,
    );
  });

  it("becomes ready, and every object is there as it was written, in the old version and in the new", async () => {
    controlPlane = await startControlPlane({ dataDir: dir, bundle, fsync: false }, deps, never);
    store = await kubeStore(controlPlane.kubeconfig, { clock: systemClock });
    expect(await snapshotsOf(dir)).toHaveLength(1);
    for (const { of, spec } of world) {
      const name = of("v1beta1").kind;
      const object = await store.get(of("v1beta1"), at("old"));
      // References name the present version of what they refer to; all else is what it was.
      expect(withoutVersions(object?.spec), name).toMatchObject(withoutVersions(spec) as object);
      expect((await store.get(of("v1beta2"), at("old")))?.metadata.uid, name).toBe(object?.metadata.uid);
    }
    expect((await store.get(controlPlanes("v1beta2"), at("old")))?.spec).toMatchObject({
      replicas: 3,
      machineTemplate: {
        spec: {
          infrastructureRef: { apiGroup: "infrastructure.cluster.x-k8s.io", name: "old" },
          deletion: { nodeDrainTimeoutSeconds: 600 },
        },
      },
      kubeadmConfigSpec: {
        clusterConfiguration: { apiServer: { extraArgs: [{ name: "profiling", value: "false" }] } },
      },
    });
  });

  it("its webhooks judge the old objects: what is right may change, what is wrong may not", async () => {
    const edit = (change: object) =>
      modify(store, clusters("v1beta2"), at("old"), (have) => ({
        ...have,
        spec: { ...(have.spec as object), ...change },
      }));
    await edit({ controlPlaneEndpoint: { host: "10.0.0.10", port: 6443 }, paused: true });
    await expect(edit({ clusterNetwork: { pods: { cidrBlocks: ["no-network"] } } })).rejects.toThrow(
      /no-network/,
    );
    const template = modify(store, machineTemplates("v1beta2"), at("old"), (have) => {
      const spec = structuredClone(have.spec) as { template: { spec: { numCPUs: number } } };
      spec.template.spec.numCPUs = 4;
      return { ...have, spec };
    });
    await expect(template).rejects.toThrow(/immutable/);
  });

  it("Cluster API writes the objects anew, so that a later bundle may forget the old version", async () => {
    for (const crd of [
      "clusters.cluster.x-k8s.io",
      "kubeadmcontrolplanes.controlplane.cluster.x-k8s.io",
      "kubeadmconfigtemplates.bootstrap.cluster.x-k8s.io",
      "vsphereclusters.infrastructure.cluster.x-k8s.io",
      "vspheremachinetemplates.infrastructure.cluster.x-k8s.io",
    ]) {
      await expect
        .poll(async () => (await stored(store, crd))?.storedVersions, { timeout: 90_000, message: crd })
        .toEqual(["v1beta2"]);
    }
  });

  it("a bundle that is older than what is installed is refused before it writes anything", async () => {
    const metadata = { namespace: "kube-system", name: "pcg-controlplane" };
    const newer = { ...versionsOf(bundle), capi: "1.99.0" };
    await modify(store, configMap, metadata, (have) => ({ ...have, data: record(newer) }));
    await store.close();
    await controlPlane?.close();
    controlPlane = undefined;
    rmSync(layout.versions); // as after a restore
    await expect(startControlPlane({ dataDir: dir, bundle, fsync: false }, deps, never)).rejects.toThrow(
      /newer bundle, which does not go back: Cluster API 1\.99\.0 to/,
    );
  });

  it("goes back: the snapshot brings the old CRDs and the old objects, as the older bundle left them", async () => {
    const saved = (await snapshotsOf(dir)).at(-1)!; // the oldest
    await restoreControlPlane({ dataDir: dir, bundle, file: saved.path }, deps, never);
    expect(existsSync(layout.versions)).toBe(false);
    await apiAlone(async (api) => {
      const crd = await api.get(crdKind, { name: "vsphereclusters.infrastructure.cluster.x-k8s.io" });
      const { versions } = crd?.spec as { versions: { name: string; storage: boolean }[] };
      expect(versions.find(({ storage }) => storage)?.name).toBe("v1beta1");
      for (const { of, spec } of world)
        expect((await api.get(of("v1beta1"), at("old")))?.spec, of("v1beta1").kind).toMatchObject(spec);
    });
  });
});

/** Without the versions in references, which Cluster API brings up to date when it is asked in the old version. */
function withoutVersions(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutVersions);
  if (value === null || typeof value !== "object") return value;
  const isRef = "kind" in value && "name" in value;
  const entries = Object.entries(value).filter(
    ([key]) => !(isRef && ["apiVersion", "namespace"].includes(key)),
  );
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutVersions(inner)]));
}

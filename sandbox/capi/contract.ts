// What the controllers of Cluster API and CAPV do with a cluster, as a suite: for the played ones here, for the real ones with the
// peers. A peer brings an API with the controllers on it, a vCenter, and machines whose Nodes come bare (knob `bareNodes`).
import { afterEach, describe, expect, it } from "vitest";
import { modify, type Kind, type Resource, type ResourceStore } from "#core";
import {
  cluster,
  ipAddress,
  isPausedNow,
  kubeadmControlPlane,
  machine,
  machineDeployment,
  machineSet,
  vsphereCluster,
  vsphereMachine,
  vsphereVM,
} from "#proto";
import { golden } from "#test/golden/read.ts";
import { differences, except, normalise, tell, type Exception } from "./compare.ts";
import { applyGolden, eventually, everything, machinesIn, type GoldenWish } from "./testing.ts";

export interface CapiPeer {
  readonly store: ResourceStore;
  /** How many VMs there are in vCenter, templates not counted. */
  vmCount(): Promise<number>;
  /** What the golden wish must say to fit this peer (server, names, endpoint); a running cluster differs in nothing else. */
  readonly wish?: GoldenWish;
  end(): Promise<void>;
}

export interface CapiContractOptions {
  /** Differences from the golden objects that this peer is known for. */
  readonly exceptions?: readonly Exception[];
  /** How long a step may take, milliseconds; 30 s unless told. */
  readonly withinMs?: number;
}

const key = { namespace: "cluster-1", name: "c1" };

/** Every controller that reports Paused. */
const reporting: Kind[] = [
  cluster,
  vsphereCluster,
  kubeadmControlPlane,
  machineDeployment,
  machineSet,
  machine,
  vsphereMachine,
  vsphereVM,
];

export function capiContract(
  name: string,
  open: () => Promise<CapiPeer>,
  { exceptions = [], withinMs = 30_000 }: CapiContractOptions = {},
): void {
  describe(`Cluster API: ${name}`, { timeout: 4 * withinMs }, () => {
    let peer: CapiPeer | undefined;
    afterEach(async () => {
      await peer?.end();
      peer = undefined;
    });
    const start = async (wish: GoldenWish = {}) => {
      const made = (peer = await open());
      await applyGolden(made.store, { ...made.wish, ...wish });
      return made;
    };

    it("a running cluster is the recorded one in every field", async () => {
      const { store } = await start();
      await machinesIn(store, "Running", 3, withinMs);
      const want = normalise([...(await golden("capi-running")), ...(await golden("capi-secrets"))]);
      const found = await settled(() => comparable(store), want, exceptions, withinMs);
      expect(tell(found)).toBe("");
    });

    it("a control plane grows from one to three", async () => {
      const { store, vmCount } = await start({ workers: 0 });
      await machinesIn(store, "Running", 1, withinMs);
      await modify(store, kubeadmControlPlane, key, (o) => void (o.spec.replicas = 3));
      await machinesIn(store, "Running", 3, 3 * withinMs);
      expect(await vmCount()).toBe(3);
    });

    it("paused, every controller says so for the generation that is stored", async () => {
      const { store } = await start();
      await machinesIn(store, "Running", 3, withinMs);
      await modify(store, cluster, key, (o) => void (o.spec.paused = true));
      await eventually(
        "all are paused",
        async () => {
          const lists = await Promise.all(reporting.map((kind) => store.list(kind)));
          return lists.every(({ items }) => items.length > 0 && items.every(isPausedNow));
        },
        withinMs,
      );
      await modify(store, cluster, key, (o) => void delete o.spec.paused);
      await eventually(
        "none is paused",
        async () => {
          const lists = await Promise.all(reporting.map((kind) => store.list(kind)));
          return lists.every(({ items }) => !items.some(isPausedNow));
        },
        withinMs,
      );
    });

    it("deleted, nothing is left: no machine in vCenter, no object, no Secret, no address", async () => {
      const { store, vmCount } = await start();
      await machinesIn(store, "Running", 3, withinMs);
      await store.delete(cluster, key);
      await eventually(
        "everything is gone",
        async () => (await everything(store, [ipAddress])).length === 0,
        2 * withinMs,
      );
      expect(await vmCount()).toBe(0);
    });
  });
}

/** What was recorded of a cluster: KubeadmConfigTemplates were not. */
export async function comparable(store: ResourceStore): Promise<Resource[]> {
  return (await everything(store)).filter((object) => object.kind !== "KubeadmConfigTemplate");
}

/** The differences that are left when things have come to rest. An exception that hides nothing fails as well. */
export async function settled(
  look: () => Promise<Resource[]>,
  want: ReadonlyMap<string, unknown>,
  exceptions: readonly Exception[],
  withinMs: number,
): Promise<ReturnType<typeof differences>> {
  let all = differences(normalise(await look()), want);
  await eventually(
    "nothing differs",
    async () => {
      all = differences(normalise(await look()), want);
      return except(all, exceptions).length === 0;
    },
    withinMs,
  ).catch(() => {});
  const idle = exceptions.filter((exception) => except(all, [exception]).length === all.length);
  expect(idle).toEqual([]);
  return except(all, exceptions);
}

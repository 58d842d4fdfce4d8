// What the controllers of Cluster API and CAPV do with a cluster, as a suite: for the played ones here, for the real ones with the
// peers. A peer brings an API with the controllers on it, a vCenter, and machines whose Nodes come bare (knob `bareNodes`).
import { afterEach, describe, expect, it } from "vitest";
import {
  getCondition,
  keyOf,
  modify,
  modifyStatus,
  systemClock,
  timestamp,
  type Kind,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  cluster,
  ipAddress,
  ipAddressClaim,
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

    it("an address that does not come is told on the VSphereVM in the words of its claim", async () => {
      const { store } = await start({ workers: 0, poolGroup: "ipam.example.org" });
      const claim = await eventually(
        "there is a claim",
        async () => (await store.list(ipAddressClaim)).items[0],
        withinMs,
      );
      const say = (status: "True" | "False", reason: string, message: string) =>
        modifyStatus(store, ipAddressClaim, keyOf(claim), (o) => {
          const lastTransitionTime = timestamp(systemClock);
          const trouble = status === "False" ? { severity: "Warning", reason, message } : {};
          o.status = {
            conditions: [{ type: "Ready", status, reason, message, lastTransitionTime }],
            deprecated: {
              v1beta1: { conditions: [{ type: "Ready", status, lastTransitionTime, ...trouble }] },
            },
          };
        });
      const told = async (status: string) => {
        const [vm] = (await store.list(vsphereVM)).items;
        const { conditions, deprecated } = vm?.status ?? {};
        const found = getCondition(conditions, "IPAddressClaimsFulfilled");
        if (found?.status !== status) return undefined;
        const old = deprecated?.v1beta1?.conditions?.find(({ type }) => type === "IPAddressClaimed");
        const { reason, message } = found;
        return { reason, message, old: [old?.status, old?.severity, old?.reason, old?.message] };
      };
      await say("False", "PoolExhausted", "pool nodes has no free address");
      const name = claim.metadata.name;
      expect(
        await eventually(
          "it is told",
          async () => {
            const now = await told("False");
            return now?.message.includes("no free") && now;
          },
          withinMs,
        ),
      ).toEqual({
        reason: "IssuesReported",
        message: `* IPAddressClaim ${name}: pool nodes has no free address`,
        old: ["False", "Warning", `PoolExhausted @ IPAddressClaim/${name}`, "0 of 1 completed"],
      });
      await say("True", "AddressAllocated", "");
      expect(await eventually("it is well", () => told("True"), withinMs)).toEqual({
        reason: "InfoReported",
        message: "",
        old: ["True", undefined, undefined, undefined],
      });
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

// A cluster that has lost its own Cluster API objects, and what a person's word makes of it.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  cluster,
  configMap,
  machine,
  machineSet,
  secret,
  vsphereMachineTemplate,
  type Machine,
} from "#proto";
import { getCondition } from "#core";
import { askToRevive, loseObjects, memoryMirrors, mirrorOf } from "../mirror/testing.ts";
import { commandOf } from "../pivot/command.ts";
import { wish, World } from "../testing/world.ts";

const here = { namespace: "cluster-u1" };
let world: World;

beforeEach(async () => {
  world = new World();
  world.mirrors = memoryMirrors();
  await world.prepare();
  await world.want();
  await world.untilState("Running");
  await world.addWorkers();
  await world.mirrors.keep(await mirrorOf(world.workload, "u1", "c1", world.clock));
});
afterEach(() => world.close());

const healthy = async () => getCondition((await world.spa())?.status?.conditions, "Healthy");
const isHeard = async () => commandOf((await world.spa())!) === undefined;
/** As KubeadmControlPlane's controller does, which applies the machines that it remembers. */
const applyFromMemory = ({ metadata: { name }, spec }: Machine) =>
  world.workload.create(machine, {
    metadata: { ...here, name, finalizers: ["machine.cluster.x-k8s.io"] },
    spec,
  });
/** As a manager does whose memory is older than its API. */
const writeFromMemory = (name: string) =>
  world.workload.create(machineSet, {
    metadata: { ...here, name, finalizers: ["cluster.x-k8s.io/machineset"] },
    spec: {
      clusterName: "c1",
      replicas: 2,
      selector: {},
      template: {
        spec: {
          clusterName: "c1",
          bootstrap: { dataSecretName: "w" },
          infrastructureRef: {
            apiGroup: vsphereMachineTemplate.group,
            kind: vsphereMachineTemplate.kind,
            name: "w",
          },
        },
      },
    },
  } as never);
const refused = () =>
  world.events.filter((event) => event.reason === "ReviveRefused").map((event) => event.message);

describe("a cluster that has lost its objects", () => {
  it("is told of with what to do, and comes back by a person's word: the same VMs, handed over again", async () => {
    const vms = [...world.dc.vms.values()].map((vm) => `${vm.name} ${vm.biosUUID} ${vm.ipAddress}`).sort();
    const [first, second] = (await world.workload.list(machine, here)).items as [Machine, Machine];
    await loseObjects(world.workload, "u1");
    await writeFromMemory("early");
    await applyFromMemory(first);
    await world.until("is told", async () => (await healthy())?.reason === "ObjectsLost");
    expect((await healthy())?.message).toContain("pcg cluster revive c1");
    await askToRevive(world.gateway, "u1", "c1");
    await world.until("the gateway owns it", async () => (await world.spa())?.status?.pivot?.epoch === 2);
    await writeFromMemory("late");
    await applyFromMemory(second);
    await world.until("is handed over again", async () => {
      const status = (await world.spa())?.status;
      return status?.state === "Running" && status.pivot?.epoch === 3 && status.pivot.step === "Done";
    });
    expect(await isHeard()).toBe(true);
    for (const name of ["early", "late"])
      expect(await world.workload.get(machineSet, { ...here, name })).toBeUndefined();
    expect(
      [...world.dc.vms.values()].map((vm) => `${vm.name} ${vm.biosUUID} ${vm.ipAddress}`).sort(),
    ).toEqual(vms);
    expect((await world.workload.list(machine, here)).items).toHaveLength(3);
    expect((await world.workload.get(cluster, { ...here, name: "c1" }))?.spec.paused).toBeUndefined();
    expect((await world.gateway.list(machine, here)).items).toEqual([]);
    expect(await world.gateway.get(secret, { ...here, name: "c1-identity" })).toBeUndefined();
    expect(world.events.map((event) => event.reason)).toContain("Revived");
    await world.until("is well", async () => (await healthy())?.status === "True");
  });

  it("is waited for while its API is silent, and nothing is done", async () => {
    await loseObjects(world.workload, "u1");
    world.knobs.workloadUp = false;
    await askToRevive(world.gateway, "u1", "c1");
    await world.until("says what it waits for", async () => (await healthy())?.reason === "RevivalWaits");
    expect((await healthy())?.message).toMatch(/when its API answers.*pcg delete cluster c1/);
    expect(await world.residue()).not.toContain("Cluster/c1");
    world.knobs.workloadUp = true;
    await world.until("is handed over again", async () => (await world.spa())?.status?.pivot?.epoch === 3);
  });

  it("is not revived beside what is left of it, which is named", async () => {
    const left = (await world.workload.list(machine, here)).items[0]!;
    await loseObjects(world.workload, "u1");
    await world.workload.create(machine, { metadata: { ...here, name: "left" }, spec: left.spec });
    await askToRevive(world.gateway, "u1", "c1");
    await world.until("says so", async () => (await healthy())?.reason === "RevivalWaits");
    expect(await world.residue()).not.toContain("Cluster/c1");
    expect((await healthy())?.message).toMatch(/Machine\/left is left in it/);
    await world.workload.delete(machine, { ...here, name: "left" });
    await world.until("is handed over again", async () => (await world.spa())?.status?.pivot?.epoch === 3);
  });

  it("that is to be deleted goes by the ledger at once: nobody could be asked for its machines", async () => {
    await loseObjects(world.workload, "u1");
    await world.want(wish({ action: "Delete", counter: 2 }));
    await world.untilGone();
    await world.clock.advance(1_000);
    expect(await world.residue()).toEqual([]);
    const told = world.events.map((event) => `${event.reason}: ${event.message}`);
    expect(told).toContainEqual(
      expect.stringMatching(/^DeletionByLedger: .*lost its own Cluster API objects/),
    );
  });

  it("can be deleted in the middle of its revival", async () => {
    await loseObjects(world.workload, "u1");
    await askToRevive(world.gateway, "u1", "c1");
    await world.until("the gateway owns it", async () => (await world.spa())?.status?.pivot?.epoch === 2);
    await world.want(wish({ action: "Delete", counter: 2 }));
    await world.untilGone();
    await world.clock.advance(1_000);
    expect(await world.residue()).toEqual([]);
  });
});

describe("a word that comes to nothing", () => {
  it("is taken off and answered where the cluster has its objects", async () => {
    await askToRevive(world.gateway, "u1", "c1");
    await world.until("it is heard", isHeard);
    expect(refused()).toEqual(["cluster c1 is not revived: it has its own objects, nothing is lost"]);
    const record = await world.workload.get(configMap, { ...here, name: "pcg-pivot" });
    expect(record?.data?.["state"]).toBe("Active");
  });

  it("is taken off and answered where there is no mirror", async () => {
    await world.mirrors!.forget("u1");
    await askToRevive(world.gateway, "u1", "c1");
    await world.until("it is heard", isHeard);
    expect(refused()).toEqual(["cluster c1 is not revived: this gateway has no mirror of it"]);
  });
});

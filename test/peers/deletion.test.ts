// Clusters in trouble, on the real programs: one loses its own objects and is revived from its mirror, then its API is dead for ever and
// it is deleted by what a person types; another is deleted in the middle of its making. All ends with a census. The whole table of states
// is in jet/spa/deletion/deletion.test.ts.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { machine, moveKinds, namespace, spa } from "#proto";
import { remove } from "../../cli/commands/get.ts";
import { revive } from "../../cli/commands/pivot.ts";
import { writeContext } from "../../cli/context.ts";
import type { World } from "../../cli/world.ts";
import { systemClock } from "#core";
import { expectNothingLeft, takeCensus, type Census } from "../scenario/census.ts";
import { until, untilState } from "../scenario/until.ts";
import { removeKeys, type Machines } from "./machines/index.ts";
import { openReal, type RealLife } from "./site/real-life.ts";

const slowMs = 240_000;

describe("clusters in trouble on the real programs", { timeout: 2 * slowMs }, () => {
  const folder = mkdtempSync(join(tmpdir(), "pcg-context-"));
  const context = join(folder, "context.yaml");
  const said: string[] = [];
  const world = { clock: systemClock, output: { line: (text = "") => void said.push(text) } } as World;
  let life: RealLife;
  let before: Census;
  let lost: string;
  let half: string;

  beforeAll(async () => {
    life = await openReal();
    before = await takeCensus(life);
    await life.pairUp();
    const { plane, apiKey, gateway } = life.site;
    await writeContext(context, {
      plane: { url: plane.url, ca: plane.caPem, apiKey: apiKey.reveal() },
      gateway: { kubeconfig: gateway.kubeconfigPath! },
    });
    life.site.machines.knobs.neverBoots = (name) => name.startsWith("half-");
    const small = (text: string) => text.replace("size: 3", "size: 1").replace("size: 2", "size: 1");
    lost = await life.apply((text) => small(text).replaceAll("shop-1", "lost"));
    half = await life.apply((text) => small(text).replaceAll("shop-1", "half").replace("0.10\n", "0.20\n"));
  }, 2 * slowMs);
  afterAll(async () => {
    await life?.close();
    rmSync(folder, { recursive: true, force: true });
  }, slowMs);

  const theSpa = async () => (await life.store.list(spa, { namespace: `cluster-${lost}` })).items[0];
  const vmsOf = async (name: string) =>
    (await life.census()).map((vm) => vm.name).filter((vm) => vm.startsWith(`${name}-`));

  it("one that is deleted in the middle of its making, its first VM cloned and not booted, leaves nothing", async () => {
    await until("its VM is there", async () => (await vmsOf("half")).length > 0, slowMs);
    await life.client.deleteCluster(half);
    await untilState(life.client, half, "Deleted", slowMs);
    expect(await vmsOf("half")).toEqual([]);
    await until(
      "its namespace is gone",
      async () => (await life.store.get(namespace, { name: `cluster-${half}` })) === undefined,
      slowMs,
    );
  });

  it("one that has lost its own objects gets them back from its mirror, and manages the same machines again", async () => {
    const { endpoint } = await untilState(life.client, lost, "Running", slowMs);
    const api = life.site.machines.api(endpoint!)!;
    const { store } = life.site.machines.workloads().find((one) => one.endpoint.host === endpoint!.host)!;
    const { mirrors } = life.site.gateway;
    const copied = async () =>
      (await mirrors.latest(lost))?.objects.filter((object) => object.kind === machine.kind).length;
    await until("the mirror has both machines", async () => (await copied()) === 2, slowMs);
    const machinesIn = async () =>
      (await life.census())
        .filter((vm) => vm.name.startsWith("lost-"))
        .sort((a, b) => a.name.localeCompare(b.name));
    const vms = await machinesIn();
    await loseObjects(api, lost);

    await revive(world, "lost", { context });
    await until(
      "it manages itself again",
      async () => {
        const { pivot, state } = (await theSpa())?.status ?? {};
        return (
          state === "Running" &&
          pivot?.direction === "ToWorkload" &&
          pivot.step === "Done" &&
          pivot.epoch === 3
        );
      },
      slowMs,
    ).catch(async (error: Error) => {
      throw new Error(`${error.message}; ${JSON.stringify((await theSpa())?.status)}`);
    });
    const machines = (await store.list(machine, { namespace: `cluster-${lost}` })).items;
    expect(machines.map((one) => one.metadata.name).sort()).toEqual(vms.map((vm) => vm.name).sort());
    expect(await machinesIn()).toEqual(vms);
  });

  it("one whose API is dead for ever is told of, and by force it goes by the ledger", async () => {
    const { machines, endpoint } = await untilState(life.client, lost, "Running", slowMs);
    const vms = machines.map((machine) => machine.name).sort();
    expect(vms.length).toBe(2);
    await life.site.machines.api(endpoint!)!.stop();

    await remove(world, "cluster", "lost", { context });
    await until(
      "the plane tells what is in the way",
      async () => {
        const { conditions } = await life.client.clusterStatus(lost);
        const blocked = conditions.find((c) => c.type === "DeletionBlocked" && c.status === "True");
        return /API does not answer.*pcg delete cluster lost --force/s.test(blocked?.message ?? "");
      },
      slowMs,
    );
    expect((await vmsOf("lost")).sort()).toEqual(vms);

    await remove(world, "cluster", "lost", { context, force: true });
    await untilState(life.client, lost, "Deleted", slowMs);
    const { items } = await life.client.clusterEvents(lost, { limit: 200 });
    const told = items.map((event) => `${event.reason}: ${event.message}`);
    expect(told).toContainEqual(expect.stringMatching(/^DeletionByLedger: .*the deletion is forced/));
    expect(told).toContainEqual(expect.stringMatching(/^Deleted: .*knows none of the 2 VMs/));
    expect(said.join("\n")).toContain("lost is being deleted by force");
  });

  it("nothing of either is left: in vCenter, in the pool, in the API, among secrets and mirrors, in the site's etcd", async () => {
    await expectNothingLeft(life, before, slowMs);
    for (const uid of [lost, half]) expect(await life.site.gateway.mirrors.latest(uid)).toBeUndefined();
    const { machines, etcd } = life.site;
    await until("no API is left", async () => machines.workloads().length === 0, slowMs);
    expect(await etcd.count()).toBe(0);
  });
});

/** The cluster's API comes back from a backup of before its hand-over: with CRDs, managers and the credential, without Cluster API's objects. */
async function loseObjects(api: NonNullable<ReturnType<Machines["api"]>>, uid: string): Promise<void> {
  const { etcd, prefix } = api.settings;
  await api.stop();
  const groups = new Set(moveKinds.map(({ group }) => group).filter((group) => group !== ""));
  for (const group of groups) await removeKeys(etcd, `${prefix}/${group}/`);
  await removeKeys(etcd, `${prefix}/configmaps/cluster-${uid}/pcg-pivot`);
  await api.start();
}

import { describe, expect, onTestFinished, test } from "vitest";
import { modify, type Draft, type OwnedStore } from "#core";
import { stage } from "#core/controller/testing.ts";
import {
  cluster,
  event,
  inClusterIPPool,
  ipAddress,
  ipAddressClaim,
  machineDeployment,
  maxSizeAnnotation,
  vsphereMachine,
  vsphereMachineTemplate,
  type MachineDeployment,
} from "#proto";
import { growthController, ipamControllers, setAside } from "../index.ts";
import { growthAnnotation, setAsideAnnotation } from "../policy.ts";
import { poolDraft } from "../testing.ts";
import { growthOf } from "./group.ts";
import {
  cardOn,
  claimOf,
  clusterDraft,
  deploymentDraft,
  machineDraft,
  sizes,
  templateDraft,
} from "./testing.ts";

async function staged(addresses = ["10.0.0.10-10.0.0.19"], processes = 1) {
  const made = await stage((deps) => [
    ...ipamControllers(deps),
    ...Array.from({ length: processes }, () => growthController(deps)),
  ]);
  onTestFinished(made.stop);
  const { store, quiet, run } = made;
  await store.create(inClusterIPPool, poolDraft({ addresses }));
  await store.create(cluster, clusterDraft());
  await store.create(cluster, clusterDraft("c2"));
  await quiet();
  const at = (name: string) => ({ namespace: "c", name });
  const pool = async () => (await store.get(inClusterIPPool, at("nodes")))!;
  return {
    ...made,
    at,
    pool,
    kept: async () => (await pool()).metadata.annotations?.[growthAnnotation],
    deploy: async (draft: Draft<MachineDeployment>) => {
      await store.create(machineDeployment, draft);
      await run(2_000);
    },
    template: async (...args: Parameters<typeof templateDraft>) => {
      await store.create(vsphereMachineTemplate, templateDraft(...args));
      await run(2_000);
    },
    /** A machine with its claim, as CAPV makes them; the static manner of naming serves as well. */
    machine: async (name: string, deployment?: string) => {
      await store.create(vsphereMachine, machineDraft(name, deployment));
      await store.create(ipAddressClaim, claimOf("c1", `${name}-0`));
      await run(2_000);
    },
    resize: async (annotations: Record<string, string> | undefined, name = "w") => {
      await modify(store, machineDeployment, at(name), (object) => {
        object.metadata.annotations = annotations ?? {};
      });
      await run(2_000);
    },
    holders: async () => heldIn(store),
    events: async () =>
      (await store.list(event)).items.map(({ reason, involvedObject, message }) => [
        reason,
        involvedObject?.name,
        message,
      ]),
  };
}

async function heldIn(store: OwnedStore): Promise<string[]> {
  return (await store.list(ipAddress)).items.map(({ metadata }) => metadata.name).sort();
}

describe("room for the autoscaler", () => {
  test("the maximum and the surge are set aside, follow the maximum, and are given back with the annotations", async () => {
    const { template, deploy, kept, resize } = await staged();
    await template([cardOn("nodes")]);
    await deploy(deploymentDraft(sizes(1, 5)));
    expect(await kept()).toBe("c/c1=6");
    await resize(sizes(1, 3));
    expect(await kept()).toBe("c/c1=4");
    await resize(undefined);
    expect(await kept()).toBeUndefined();
  });

  test("another cluster's claims leave it alone, and have it when the maximum is lowered", async () => {
    const { store, template, deploy, resize, holders, run } = await staged();
    await template([cardOn("nodes")]);
    await deploy(deploymentDraft(sizes(1, 8)));
    for (const name of ["x", "y"]) await store.create(ipAddressClaim, claimOf("c2", name));
    await run(2_000);
    expect(await holders()).toEqual(["x"]); // ten, and nine are kept
    await store.create(ipAddressClaim, claimOf("c1", "w-a-0"));
    await run(2_000);
    expect(await holders()).toEqual(["w-a-0", "x"]);
    await resize(sizes(1, 7));
    expect(await holders()).toEqual(["w-a-0", "x", "y"]);
  });

  test("the control plane's addresses are added, those of machines that may grow are not", async () => {
    const { template, deploy, machine, kept, run, store, at } = await staged();
    await template([cardOn("nodes")]);
    await deploy(deploymentDraft(sizes(1, 4)));
    await machine("cp-1");
    await machine("w-1", "w");
    await machine("w-2", "w");
    expect(await kept()).toBe("c/c1=6");
    await store.delete(vsphereMachine, at("w-2")); // its address goes later
    await run(20_000);
    expect(await kept()).toBe("c/c1=6");
    await store.delete(ipAddressClaim, at("cp-1-0"));
    await run(20_000);
    expect(await kept()).toBe("c/c1=5");
  });

  test("an address of a machine that nobody knows counts after a while", async () => {
    const { template, deploy, kept, run, store } = await staged();
    await template([cardOn("nodes")]);
    await deploy(deploymentDraft(sizes(1, 4)));
    await store.create(ipAddressClaim, claimOf("c1", "endpoint"));
    await run(2_000);
    expect(await kept()).toBe("c/c1=5");
    await run(12_000);
    expect(await kept()).toBe("c/c1=6");
  });

  test("deployments of a cluster and cards of a machine add up; clusters are kept apart", async () => {
    const { template, deploy, kept, store, at, run } = await staged(["10.0.0.0/24"]);
    await template([cardOn("nodes"), cardOn("nodes"), cardOn()]);
    await template([cardOn("nodes")], "one");
    await deploy(deploymentDraft(sizes(0, 2), { rollingUpdate: { maxSurge: 0 } }));
    await deploy(
      deploymentDraft(sizes(0, 10), { name: "v", template: "one", rollingUpdate: { maxSurge: "25%" } }),
    );
    await deploy(deploymentDraft(sizes(0, 1), { name: "z", template: "one", cluster: "c2" }));
    expect(await kept()).toBe("c/c1=17, c/c2=2");
    await store.delete(machineDeployment, at("v"));
    await run(2_000);
    expect((await kept())?.split(", ").sort()).toEqual(["c/c1=4", "c/c2=2"]);
    await store.delete(cluster, at("c2"));
    await run(2_000);
    expect(await kept()).toBe("c/c1=4");
  });

  test("by the labels of static addresses as well", async () => {
    const { template, deploy, kept } = await staged();
    await template([cardOn()], "w", { "cluster.x-k8s.io/ip-pool-name": "nodes" });
    await deploy(deploymentDraft(sizes(1, 3)));
    expect(await kept()).toBe("c/c1=4");
  });

  test("a template that comes late, or is not there for a while, takes nothing away", async () => {
    const { template, deploy, kept, store, at, run } = await staged();
    await deploy(deploymentDraft(sizes(1, 3)));
    expect(await kept()).toBeUndefined();
    await template([cardOn("nodes")]);
    expect(await kept()).toBe("c/c1=4");
    await store.delete(vsphereMachineTemplate, at("w"));
    await run(2_000);
    expect(await kept()).toBe("c/c1=4");
  });

  test("what a person set aside stays as written, and the larger of both counts", async () => {
    const { store, template, deploy, pool, resize, holders, run, at } = await staged();
    const ref = { kind: "InClusterIPPool", namespace: "c", name: "nodes" } as const;
    await setAside(store, ref, at("c1"), 9);
    await template([cardOn("nodes")]);
    await deploy(deploymentDraft(sizes(1, 4)));
    for (const name of ["x", "y"]) await store.create(ipAddressClaim, claimOf("c2", name));
    await run(2_000);
    expect((await pool()).metadata.annotations).toMatchObject({
      [setAsideAnnotation]: "c/c1=9",
      [growthAnnotation]: "c/c1=5",
    });
    expect(await holders()).toEqual(["x"]);
    await setAside(store, ref, at("c1"), 0);
    await run(2_000);
    expect(await holders()).toEqual(["x", "y"]);
    await resize(sizes(1, 9));
    expect((await pool()).metadata.annotations).toMatchObject({ [growthAnnotation]: "c/c1=10" });
  });

  test("a hand's share that ends leaves the automatic one", async () => {
    const { store, template, deploy, holders, run, at, clock } = await staged();
    const until = new Date(clock.now() + 60_000).toISOString();
    await modify(store, inClusterIPPool, at("nodes"), ({ metadata }) => {
      metadata.annotations = { ...metadata.annotations, [setAsideAnnotation]: `c1=10 until ${until}` };
    });
    await template([cardOn("nodes")]);
    await deploy(deploymentDraft(sizes(1, 8)));
    for (const name of ["x", "y"]) await store.create(ipAddressClaim, claimOf("c2", name));
    await run(2_000);
    expect(await holders()).toEqual([]);
    await run(70_000);
    expect(await holders()).toEqual(["x"]); // nine of ten are kept
  });

  test("edited by a person, the automatic share is put right; paused, it is left alone", async () => {
    const { store, template, deploy, kept, run, at, resize } = await staged();
    await template([cardOn("nodes")]);
    await deploy(deploymentDraft(sizes(1, 4)));
    const edit = (change: Record<string, string>) =>
      modify(store, inClusterIPPool, at("nodes"), ({ metadata }) => {
        metadata.annotations = { ...metadata.annotations, ...change };
      });
    await edit({ [growthAnnotation]: "nonsense" });
    await run(5_000);
    expect(await kept()).toBe("c/c1=5");
    await edit({ "cluster.x-k8s.io/paused": "" });
    await resize(sizes(1, 2));
    expect(await kept()).toBe("c/c1=5");
    await modify(store, inClusterIPPool, at("nodes"), ({ metadata }) => {
      const { "cluster.x-k8s.io/paused": _, ...rest } = metadata.annotations ?? {};
      metadata.annotations = rest;
    });
    await run(5_000);
    expect(await kept()).toBe("c/c1=3");
    await modify(store, cluster, at("c1"), ({ spec }) => void (spec.paused = true));
    await resize(undefined);
    expect(await kept()).toBe("c/c1=3");
    await modify(store, cluster, at("c1"), ({ spec }) => void (spec.paused = false));
    await run(5_000);
    expect(await kept()).toBeUndefined();
  });

  test("a cluster that comes after its pool (clusterctl move) finds its share; one that never comes loses it", async () => {
    const { store, kept, run, at, deploy, template } = await staged();
    await template([cardOn("nodes")]);
    await modify(store, inClusterIPPool, at("nodes"), ({ metadata }) => {
      metadata.annotations = { [growthAnnotation]: "c/late=4, c/never=2" };
    });
    await run(120_000);
    expect(await kept()).toBe("c/late=4, c/never=2");
    await store.create(cluster, clusterDraft("late", { paused: true }));
    await deploy(deploymentDraft(sizes(1, 3), { cluster: "late" }));
    await run(660_000);
    expect(await kept()).toBe("c/late=4");
  });

  test("a pool that cannot hold the maximum is told on the MachineDeployment, once", async () => {
    const { template, deploy, events, kept, run, resize } = await staged();
    await template([cardOn("nodes")]);
    await deploy(deploymentDraft(sizes(1, 12)));
    expect(await kept()).toBe("c/c1=13");
    expect(await events()).toEqual([["NoRoomToGrow", "w", expect.stringContaining("lacks 3 addresses")]]);
    await run(3_600_000);
    expect(await events()).toHaveLength(1);
    await resize(sizes("many", 3));
    expect(await kept()).toBeUndefined();
    expect((await events()).map(([reason]) => reason).sort()).toEqual(["AutoscalerSizes", "NoRoomToGrow"]);
  });

  test.each([1, 2])("nothing is written while nothing changes, with %i processes", async (processes) => {
    const { template, deploy, machine, pool, run } = await staged(undefined, processes);
    await template([cardOn("nodes")]);
    await deploy(deploymentDraft(sizes(1, 4)));
    await machine("cp-1");
    await run(60_000);
    const before = (await pool()).metadata.resourceVersion;
    await run(3_600_000);
    expect((await pool()).metadata.resourceVersion).toBe(before);
  });

  test("a crowd of machines shares few writes", async () => {
    const { store, template, deploy, run, kept } = await staged(["10.0.0.0/16"]);
    await template([cardOn("nodes")]);
    await deploy(deploymentDraft(sizes(1, 4)));
    let writes = 0;
    const stop = new AbortController();
    const { revision } = await store.list(inClusterIPPool);
    let last = await kept();
    const counting = (async () => {
      for await (const each of store.watch(inClusterIPPool, { after: revision }, stop.signal)) {
        if (each.type === "Bookmark") continue;
        const now = each.object.metadata.annotations?.[growthAnnotation];
        if (now !== last) writes++;
        last = now;
      }
    })().catch(() => {});
    for (let at = 0; at < 300; at++) {
      await store.create(vsphereMachine, machineDraft(`cp-${at}`));
      await store.create(ipAddressClaim, claimOf("c1", `cp-${at}-0`));
    }
    await run(20_000);
    stop.abort();
    await counting;
    expect(await kept()).toBe("c/c1=305");
    expect(writes).toBeLessThanOrEqual(10);
  });
});

const table: [string, Draft<MachineDeployment>, unknown][] = [
  ["no annotation", deploymentDraft({}), { kind: "fixed" }],
  ["one surge unless told", deploymentDraft(sizes(0, 3)), { kind: "grows", max: 3, surge: 1 }],
  [
    "a percentage is rounded up",
    deploymentDraft(sizes(0, 10), { rollingUpdate: { maxSurge: "25%" } }),
    { kind: "grows", max: 10, surge: 3 },
  ],
  [
    "a maximum alone is nothing to the autoscaler",
    deploymentDraft({ [maxSizeAnnotation]: "3" }),
    { kind: "wrong", message: expect.stringContaining("is absent") },
  ],
  [
    "below the minimum",
    deploymentDraft(sizes(4, 3)),
    { kind: "wrong", message: expect.stringContaining("must be whole") },
  ],
];
test.each(table)("sizes: %s", (_name, draft, want) =>
  expect(growthOf(draft as MachineDeployment)).toEqual(want),
);

test("sizes: v1beta1 has its strategy elsewhere, and OnDelete makes no surge", () => {
  const { metadata, spec } = deploymentDraft(sizes(0, 3));
  const { rollout: _, ...rest } = spec;
  const old = (strategy: object) => growthOf({ metadata, spec: { ...rest, strategy } } as never);
  expect(old({ type: "RollingUpdate", rollingUpdate: { maxSurge: 2 } })).toMatchObject({ surge: 2 });
  expect(old({ type: "OnDelete" })).toMatchObject({ surge: 0 });
});

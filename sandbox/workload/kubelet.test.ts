import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { modify, runControllers, silentLogger, systemClock, type OwnedStore } from "#core";
import { deployment, node, pod, secret, type Node } from "#proto";
import { eventually, newStore } from "../capi/testing.ts";
import { isSchedulable, kubelet } from "./kubelet.ts";
import { imageName, type Program, type ProgramPod } from "./programs.ts";

interface Run {
  readonly pod: ProgramPod;
  readonly signal: AbortSignal;
  crash: (error: Error) => void;
}

let store: OwnedStore;
let runs: Run[];
let stop: () => Promise<void>;

const run: Program = (pod, signal) =>
  new Promise((resolve, reject) => {
    runs.push({ pod, signal, crash: reject });
    signal.addEventListener("abort", () => resolve(), { once: true });
  });

beforeEach(() => {
  store = newStore();
  runs = [];
  const inner = kubelet({
    store,
    kubeconfig: "kubeconfig text",
    clock: systemClock,
    log: silentLogger,
    programs: {
      agent: run,
      slow: (given, signal) => {
        given.tellReady(false);
        return run(given, signal);
      },
    },
  });
  const end = new AbortController();
  const deps = { store, clock: systemClock, log: silentLogger, random: Math.random };
  const running = runControllers(deps, [inner.controller], end.signal);
  stop = async () => {
    end.abort();
    await inner.stop();
    await running.stopped;
    await store.close();
  };
});
afterEach(() => stop());

const key = { namespace: "default", name: "a" };
const taint = { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" };
const toleration = { key: taint.key, operator: "Exists", effect: "NoSchedule" };

async function addNode(taints: Node["spec"] = {}): Promise<void> {
  const made = await store.create(node, { metadata: { name: "n1" }, spec: taints });
  await store.updateStatus(node, { ...made, status: { conditions: [{ type: "Ready", status: "True" }] } });
}

function deploy(image = "registry.local:5000/pcg/agent:v1", spec: Record<string, unknown> = {}) {
  return store.create(deployment, {
    metadata: key,
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "a" } },
      template: {
        metadata: { labels: { app: "a" } },
        spec: {
          containers: [{ name: "a", image, args: ["--x"], env: [{ name: "E", value: "1" }] }],
          ...spec,
        },
      },
    },
  });
}

const condition = async () => {
  const found = await store.get(deployment, key);
  return found?.status?.conditions?.find((c) => c.type === "Available") as
    { status: string; message: string } | undefined;
};

describe("a kubelet that plays programs", () => {
  it("runs a program while its Deployment is there, with its arguments and its Secrets", async () => {
    await addNode();
    await deploy(undefined, { volumes: [{ name: "v", secret: { secretName: "s" } }] });
    await eventually(
      "it waits for the Secret",
      async () => (await condition())?.message === 'secret "s" not found',
    );
    await store.create(secret, { metadata: { ...key, name: "s" }, type: "Opaque", data: { token: "YWJj" } });
    const run = await eventually("it runs", () => runs[0]);
    expect(run.pod).toMatchObject({
      namespace: "default",
      name: "a",
      args: ["--x"],
      env: { E: "1" },
      files: { s: { token: "abc" } },
      kubeconfig: "kubeconfig text",
    });
    await eventually("it is Available", async () => (await condition())?.status === "True");
    expect((await store.list(pod)).items[0]?.status?.phase).toBe("Running");

    const told: unknown[] = [];
    run.pod.onFiles((files) => told.push(files));
    await modify(store, secret, { ...key, name: "s" }, (o) => void (o.data = { token: "ZGVm" }));
    await eventually("it hears of a new value", () => told.length > 0);
    expect(told).toEqual([{ s: { token: "def" } }]);
    expect(runs).toHaveLength(1);

    await store.delete(deployment, key);
    await eventually("it is aborted", () => run.signal.aborted);
  });

  it("scaled to none it is aborted, changed it is started anew", async () => {
    await addNode();
    await deploy();
    const first = await eventually("it runs", () => runs[0]);
    await modify(store, deployment, key, (o) => void (o.spec.template.spec.containers[0]!.args = ["--y"]));
    const second = await eventually("it runs anew", () => runs[1]);
    expect(first.signal.aborted).toBe(true);
    expect(second.pod.args).toEqual(["--y"]);
    await modify(store, deployment, key, (o) => void (o.spec.replicas = 0));
    await eventually("it is aborted", () => second.signal.aborted);
    await eventually("no Pod is left", async () => (await store.list(pod)).items.length === 0);
  });

  it("an image that nobody knows is never Available, and says so", async () => {
    await addNode();
    await deploy("nowhere/strange:v1");
    await eventually("it is told", async () => (await condition())?.message.includes("strange"));
    expect((await store.list(pod)).items[0]?.status).toMatchObject({
      phase: "Pending",
      reason: "ErrImagePull",
    });
    expect(runs).toEqual([]);
  });

  it("a control plane's taint keeps programs away that do not tolerate it", async () => {
    await addNode({ taints: [taint] });
    await deploy();
    await eventually("it waits", async () => (await condition())?.message === "0/1 nodes are available");
    await modify(store, deployment, key, (o) => void (o.spec.template.spec.tolerations = [toleration]));
    await eventually("it runs", () => runs[0]);
  });

  it("a program that tells of its readiness is Available only while it says so", async () => {
    await addNode();
    await deploy("slow:v1");
    const run = await eventually("it runs", () => runs[0]);
    await eventually("it is not Available", async () => (await condition())?.status === "False");
    expect((await store.list(pod)).items[0]?.status?.phase).toBe("Pending");
    run.pod.tellReady(true);
    await eventually("it is Available", async () => (await condition())?.status === "True");
    run.pod.tellReady(false);
    await eventually("it is not Available any more", async () => (await condition())?.status === "False");
  });

  it("fills in what a pod knows of itself", async () => {
    await addNode();
    const env = [
      { name: "POD_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } },
      { name: "PLAIN", value: "1" },
      { name: "STRANGE", valueFrom: { fieldRef: { fieldPath: "status.hostIP" } } },
    ];
    await deploy(undefined, { containers: [{ name: "a", image: "agent:v1", env }] });
    const run = await eventually("it runs", () => runs[0]);
    expect(run.pod.env).toEqual({ POD_NAMESPACE: "default", PLAIN: "1", STRANGE: "" });
  });

  it("a program that crashes is started again", async () => {
    await addNode();
    await deploy();
    const first = await eventually("it runs", () => runs[0]);
    first.crash(new Error("oops"));
    await eventually("it runs again", () => runs[1], 5_000);
  });
});

describe("scheduling", () => {
  const ready = (spec: Node["spec"]) =>
    ({
      spec,
      metadata: { name: "n" },
      status: { conditions: [{ type: "Ready", status: "True" }] },
    }) as unknown as Node;
  it.each([
    ["a node without taints", ready({}), [], true],
    ["a tainted node", ready({ taints: [taint] }), [], false],
    ["tolerated by key", ready({ taints: [taint] }), [toleration], true],
    ["tolerated by everything", ready({ taints: [taint] }), [{ operator: "Exists" }], true],
    [
      "tolerated for another effect",
      ready({ taints: [taint] }),
      [{ ...toleration, effect: "NoExecute" }],
      false,
    ],
    ["another value", ready({ taints: [{ ...taint, value: "a" }] }), [{ key: taint.key, value: "b" }], false],
    ["a preference", ready({ taints: [{ ...taint, effect: "PreferNoSchedule" }] }), [], true],
    ["cordoned", ready({ unschedulable: true }), [], false],
    [
      "silent",
      { ...ready({}), status: { conditions: [{ type: "Ready", status: "Unknown" }] } } as Node,
      [],
      false,
    ],
  ])("%s", (_, on, tolerations, want) => {
    expect(isSchedulable(on, tolerations)).toBe(want);
  });

  it.each([
    ["agent", "agent"],
    ["registry.local:5000/pcg/agent:v1", "agent"],
    ["a/b@sha256:00", "b"],
    ["localhost:5000/b:v1@sha256:00", "b"],
  ])("the name of image %s", (image, want) => {
    expect(imageName(image)).toBe(want);
  });
});

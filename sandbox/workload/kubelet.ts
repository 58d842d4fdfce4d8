// Plays scheduler and kubelet for Deployments: where an image is a program we have, it runs in this process.
//
//   B1. A program runs exactly while its Deployment exists with replicas > 0, a Node that it tolerates is Ready, and the Secrets it
//       mounts exist. When one of these ends, it is aborted, and only then started anew.
//   B2. An image that nobody knows is never Available; its Pod says ErrImagePull.
//   B3. A program that ends by itself is started again, after 1 s, 2 s, ... at most 30 s.
//   B4. A program is ready while it runs, unless it tells of its readiness itself: then while it says so.
//   B5. A mounted Secret that changes is told to the program, which is not started anew for it.
import {
  Fault,
  keyOf,
  keyText,
  sameJson,
  sleep,
  timestamp,
  type Clock,
  type Controller,
  type Key,
  type Logger,
  type ResourceStore,
} from "#core";
import {
  deployment as deploymentKind,
  node as nodeKind,
  pod as podKind,
  secret as secretKind,
  type Deployment,
  type Node,
  type Pod,
} from "#proto";
import { editStatus, ensure, remove } from "../capi/edit.ts";
import { templateHash } from "../capi/names.ts";
import { runningPod } from "./node.ts";
import { imageName, type ProgramPod, type Programs } from "./programs.ts";

export interface KubeletDeps {
  readonly store: ResourceStore;
  readonly kubeconfig: string;
  readonly programs: Programs;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Kubelet {
  readonly controller: Controller;
  /** Ends every program; resolves when they have ended. */
  stop(): Promise<void>;
}

interface Running {
  readonly template: unknown;
  readonly abort: AbortController;
  readonly done: Promise<void>;
  readonly files: ProgramPod["files"];
  refresh(files: ProgramPod["files"]): void;
  /** What the program said last (B4); undefined until it says something. */
  readonly ready: boolean | undefined;
}

/** How soon a Deployment is looked at again whose program tells of its readiness, milliseconds. */
const startingMs = 250;
const runningMs = 2_000;

export function kubelet(deps: KubeletDeps): Kubelet {
  const running = new Map<string, Running>();
  const { store } = deps;

  const halt = async (key: string) => {
    const run = running.get(key);
    if (!run) return;
    run.abort.abort();
    await run.done;
    running.delete(key);
  };

  const everyDeployment = async (): Promise<Key[]> => (await store.list(deploymentKind)).items.map(keyOf);

  const controller: Controller = {
    name: "sandbox-kubelet",
    kind: deploymentKind,
    follows: [
      { kind: nodeKind, affects: everyDeployment },
      { kind: secretKind, affects: everyDeployment },
    ],
    backoff: { baseMs: 10, capMs: 5_000 },
    reconciler: {
      async reconcile(key) {
        const text = keyText(key);
        const object = await store.get(deploymentKind, key);
        if (!object || object.metadata.deletionTimestamp || object.spec.replicas === 0) {
          await halt(text); // B1
          if (object) await report(deps, object, { kind: "off" });
          return {};
        }
        const wanted = await placement(deps, object);
        if (wanted.kind !== "runs") {
          await report(deps, object, wanted);
          await halt(text);
          return {};
        }
        if (!sameJson(running.get(text)?.template, object.spec.template)) {
          await halt(text);
          running.set(text, start(deps, object, wanted.pod));
        }
        const run = running.get(text);
        if (run && !sameJson(run.files, wanted.pod.files)) run.refresh(wanted.pod.files); // B5
        const ready = run?.ready;
        await report(deps, object, ready === false ? { ...wanted, kind: "starts" } : wanted);
        return ready === undefined ? {} : { after: ready ? runningMs : startingMs }; // B4
      },
    },
  };
  return {
    controller,
    async stop() {
      await Promise.all([...running.keys()].map(halt));
    },
  };
}

type Placement =
  | { readonly kind: "off" }
  | { readonly kind: "pending"; readonly reason: string; readonly message: string }
  | { readonly kind: "starts" | "runs"; readonly node: string; readonly pod: ProgramPod };

async function placement(deps: KubeletDeps, object: Deployment): Promise<Placement> {
  const { spec } = object.spec.template;
  const [container] = spec.containers;
  const image = container?.image ?? "";
  const { items: nodes } = await deps.store.list(nodeKind);
  const node = nodes.find((n) => isSchedulable(n, tolerationsOf(object)));
  if (!node)
    return { kind: "pending", reason: "Unschedulable", message: `0/${nodes.length} nodes are available` };
  if (!deps.programs[imageName(image)])
    return {
      kind: "pending",
      reason: "ErrImagePull",
      message: `the sandbox has no program for image ${image}`,
    };
  const files: Record<string, Record<string, string>> = {};
  for (const volume of spec.volumes ?? []) {
    const name = volume.secret?.secretName;
    if (!name) continue;
    const secret = await deps.store.get(secretKind, { namespace: object.metadata.namespace ?? "", name });
    const optional = (volume.secret as { optional?: boolean }).optional === true;
    if (!secret && !optional)
      return { kind: "pending", reason: "ContainerCreating", message: `secret "${name}" not found` };
    files[name] = Object.fromEntries(
      Object.entries(secret?.data ?? {}).map(([key, value]) => [
        key,
        Buffer.from(value, "base64").toString(),
      ]),
    );
  }
  return {
    kind: "runs",
    node: node.metadata.name,
    pod: {
      store: deps.store,
      kubeconfig: deps.kubeconfig,
      namespace: object.metadata.namespace ?? "",
      name: object.metadata.name,
      args: container?.args ?? [],
      env: environment(object),
      files,
      deployment: object,
      onFiles: () => {},
      tellReady: () => {},
    },
  };
}

/** The first container's variables; `fieldRef` as far as a pod's metadata goes. Pure. */
export function environment(object: Deployment): Record<string, string> {
  const { name, namespace = "", uid } = object.metadata;
  const fields: Readonly<Record<string, string>> = {
    "metadata.name": podNameOf(name),
    "metadata.namespace": namespace,
    "metadata.uid": uid,
  };
  const variables = object.spec.template.spec.containers[0]?.env ?? [];
  return Object.fromEntries(
    variables.map((each) => {
      const from = each["valueFrom"] as { fieldRef?: { fieldPath?: string } } | undefined;
      return [each.name, each.value ?? fields[from?.fieldRef?.fieldPath ?? ""] ?? ""];
    }),
  );
}

interface Toleration {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
}

function tolerationsOf(object: Deployment): readonly Toleration[] {
  return (object.spec.template.spec.tolerations as Toleration[] | undefined) ?? [];
}

/** Whether a pod with these tolerations may go to the node. Pure. */
export function isSchedulable(node: Node, tolerations: readonly Toleration[]): boolean {
  const ready = node.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True");
  if (!ready || node.spec?.unschedulable || node.metadata.deletionTimestamp) return false;
  return (node.spec?.taints ?? [])
    .filter((taint) => taint.effect !== "PreferNoSchedule")
    .every((taint) =>
      tolerations.some(
        (t) =>
          (t.key === undefined ? t.operator === "Exists" : t.key === taint.key) &&
          (t.operator === "Exists" || (t.value ?? "") === (taint.value ?? "")) &&
          (t.effect === undefined || t.effect === taint.effect),
      ),
    );
}

function start(deps: KubeletDeps, object: Deployment, pod: ProgramPod): Running {
  const abort = new AbortController();
  const image = object.spec.template.spec.containers[0]?.image ?? "";
  const program = deps.programs[imageName(image)];
  const log = deps.log.child({ program: imageName(image), namespace: pod.namespace, deployment: pod.name });
  let ready: boolean | undefined;
  const tellReady = (now: boolean) => void (ready = now);
  let files = pod.files;
  let listeners: ((now: ProgramPod["files"]) => void)[] = [];
  const onFiles: ProgramPod["onFiles"] = (listener) => void listeners.push(listener);
  const loop = async () => {
    for (let crashes = 0; !abort.signal.aborted; crashes++) {
      try {
        listeners = [];
        await program?.({ ...pod, files, onFiles, tellReady }, abort.signal);
        if (!abort.signal.aborted) log.warn("program ended by itself");
      } catch (error) {
        if (abort.signal.aborted) return;
        log.warn("program crashed", { error: Fault.from(error) });
      }
      if (ready) ready = false;
      const waitMs = Math.min(30_000, 1_000 * 2 ** Math.min(crashes, 5)); // B3
      await sleep(deps.clock, waitMs, abort.signal).catch(() => {});
    }
  };
  const done = loop();
  return {
    template: object.spec.template,
    abort,
    done,
    get files() {
      return files;
    },
    refresh(now) {
      files = now;
      for (const listener of listeners) listener(now);
    },
    get ready() {
      return ready;
    },
  };
}

async function report(deps: KubeletDeps, object: Deployment, placed: Placement): Promise<void> {
  const desired = object.spec.replicas;
  const ready = placed.kind === "runs" ? desired : 0;
  const at = timestamp(deps.clock);
  await reportPod(deps, object, placed);
  await editStatus(deps.store, deploymentKind, keyOf(object), (o) => {
    const before = (o.status?.conditions ?? []) as {
      type: string;
      status: string;
      lastTransitionTime?: string;
    }[];
    const condition = (type: string, status: "True" | "False", reason: string, message: string) => {
      const old = before.find((c) => c.type === type);
      const lastTransitionTime = old?.status === status ? (old.lastTransitionTime ?? at) : at;
      return { type, status, reason, message, lastTransitionTime };
    };
    o.status = {
      observedGeneration: o.metadata.generation,
      replicas: desired,
      updatedReplicas: desired,
      readyReplicas: ready,
      availableReplicas: ready,
      unavailableReplicas: desired - ready,
      conditions: [
        ready === desired
          ? condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
          : condition(
              "Available",
              "False",
              "MinimumReplicasUnavailable",
              placed.kind === "pending" ? placed.message : "Deployment does not have minimum availability.",
            ),
        condition("Progressing", "True", "NewReplicaSetAvailable", "ReplicaSet is up to date."),
      ],
    };
  });
}

function podNameOf(deployment: string): string {
  return `${deployment}-${templateHash(deployment).slice(0, 5)}`;
}

/** One Pod stands for all replicas. */
async function reportPod(deps: KubeletDeps, object: Deployment, placed: Placement): Promise<void> {
  const { namespace = "", name } = object.metadata;
  const podName = podNameOf(name);
  if (placed.kind === "off") {
    const old = await deps.store.get(podKind, { namespace, name: podName });
    if (old) await remove(deps.store, podKind, old);
    return;
  }
  const made = await ensure(deps.store, podKind, {
    metadata: {
      name: podName,
      namespace,
      labels: object.spec.template.metadata?.labels ?? {},
      ownerReferences: [
        {
          apiVersion: object.apiVersion,
          kind: object.kind,
          name,
          uid: object.metadata.uid,
          controller: true,
        },
      ],
    },
    spec: { ...object.spec.template.spec, ...("node" in placed ? { nodeName: placed.node } : {}) },
  });
  const container = object.spec.template.spec.containers[0]?.name ?? name;
  await editStatus(deps.store, podKind, made, (o) => {
    o.status =
      placed.kind === "pending"
        ? pendingPod(container, placed.reason, placed.message)
        : placed.kind === "starts"
          ? pendingPod(container, "ContainersNotReady", "the readiness probe does not answer yet")
          : runningPod(container, String(o.status?.startTime ?? timestamp(deps.clock)));
  });
}

function pendingPod(container: string, reason: string, message: string): NonNullable<Pod["status"]> {
  return {
    phase: "Pending",
    reason,
    message,
    conditions: [{ type: "Ready", status: "False", reason, message }],
    containerStatuses: [
      { name: container, ready: false, restartCount: 0, state: { waiting: { reason, message } } },
    ],
  };
}

// Runs of movers: ours (mover.ts) and clusterctl, each to its end or to the moment at which it is killed.
import { fork, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { clusterNames } from "#proto/render/names.ts";
import { newJournal } from "../../../jet/pivot/journal.ts";
import { spa } from "#proto";
import { clusterName, wishOf, type Arena } from "./arena.ts";
import type { Order, Question } from "./mover.ts";

const root = join(import.meta.dirname, "../../..");

/** Bundles the mover, so that it starts in no time. Returns its path. */
export async function bundleMover(dir: string): Promise<string> {
  const outfile = join(dir, "mover.mjs");
  await build({
    absWorkingDir: root,
    entryPoints: ["test/peers/pivot/mover.ts"],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    external: ["sqlite3"],
    banner: {
      js: `import { createRequire } from "node:module"; const require = createRequire(${JSON.stringify(`${root}/package.json`)});`,
    },
    plugins: [
      {
        // Outside the tree a bare import finds nothing.
        name: "sqlite3",
        setup: (it) =>
          it.onResolve({ filter: /^sqlite3$/ }, () => ({
            path: join(root, "node_modules/sqlite3/lib/sqlite3.js"),
            external: true,
          })),
      },
    ],
    logLevel: "warning",
  });
  return outfile;
}

/** The SPA with a journal at its beginning. */
export async function beginPivot(arena: Arena, uid: string, direction: Order["direction"]): Promise<void> {
  const { namespace } = clusterNames(uid, clusterName);
  const made = await arena.gateway.store.create(spa, {
    metadata: { name: clusterName, namespace },
    spec: wishOf(uid),
  });
  await arena.gateway.store.updateStatus(spa, {
    ...made,
    status: { pivot: newJournal(direction, `p-${uid}`, 1, Date.now()) },
  });
}

export function orderFor(
  arena: Arena,
  uid: string,
  direction: Order["direction"],
  dir: string,
  asks: boolean,
): Order {
  mkdirSync(dir, { recursive: true });
  return {
    uid,
    cluster: clusterName,
    direction,
    gateway: arena.gateway.kube.kubeconfig,
    workload: arena.workload.kube.kubeconfig,
    dir,
    asks,
  };
}

export interface Ended {
  /** "done", "killed", or what it waits for. */
  readonly end: string;
  readonly message?: string;
  readonly writes?: number;
  readonly ms?: number;
  readonly steps?: Readonly<Record<string, number>>;
  /** Where it was when it was killed. */
  readonly killedAt?: Question;
}

/**
 * Runs the mover. It dies (SIGKILL) at its n-th write: before it, or, with `during`, so many milliseconds after that write was let
 * through. `watch` is called before each write is let through.
 */
export async function runMover(
  program: string,
  order: Order,
  kill?: { readonly at: number; readonly during?: number },
  watch: (question: Question) => Promise<void> = () => Promise.resolve(),
): Promise<Ended> {
  const child = fork(program, [JSON.stringify(order)], { stdio: ["ignore", "pipe", "pipe", "ipc"] });
  let [said, complaint] = ["", ""];
  let killedAt: Question | undefined;
  child.stdout!.on("data", (text: Buffer) => (said += text.toString()));
  child.stderr!.on("data", (text: Buffer) => (complaint += text.toString()));
  const failed: unknown[] = [];
  // An answer may meet a process that died of its kill meanwhile.
  child.on("error", (error) => killedAt || failed.push(error));
  child.on("message", (question: Question) => {
    void (async () => {
      if (killedAt) return;
      await watch(question);
      if (kill && question.write >= kill.at) {
        killedAt ??= question;
        if (kill.during === undefined) return void child.kill("SIGKILL");
        child.send(question.write);
        setTimeout(() => child.kill("SIGKILL"), kill.during);
      } else if (child.connected) child.send(question.write);
    })().catch((error: unknown) => {
      failed.push(error);
      child.kill("SIGKILL");
    });
  });
  const patience = setTimeout(() => child.kill("SIGKILL"), 120_000);
  const code = await new Promise<number | null>((resolve) =>
    child.once("close", (status) => resolve(status)),
  );
  clearTimeout(patience);
  if (failed.length > 0) throw failed[0];
  const line = said.trim().split("\n").pop();
  if (line) return { ...(JSON.parse(line) as Ended), ...(killedAt ? { killedAt } : {}) };
  if (killedAt) return { end: "killed", killedAt };
  throw new Error(`the mover ended with ${code}: ${complaint.slice(-2000)}`);
}

export interface Moved {
  readonly code: number | null;
  readonly ms: number;
  readonly said: string;
}

/** Runs `clusterctl move` of a cluster's namespace; killed after so many milliseconds, if told. */
export async function runClusterctl(
  program: string,
  arena: Arena,
  uid: string,
  killAfterMs?: number,
): Promise<Moved> {
  const { namespace } = clusterNames(uid, clusterName);
  const args = ["move", "-n", namespace, "--kubeconfig", arena.gateway.kube.kubeconfigPath];
  args.push("--to-kubeconfig", arena.workload.kube.kubeconfigPath);
  const began = performance.now();
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: arena.gateway.kube.dir,
      XDG_CONFIG_HOME: arena.gateway.kube.dir,
      CLUSTERCTL_DISABLE_VERSIONCHECK: "true",
    },
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text: Buffer) => (said += text.toString()));
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfterMs);
  const code = await new Promise<number | null>((resolve) =>
    child.once("close", (status) => resolve(status)),
  );
  clearTimeout(timer);
  return { code, ms: Math.round(performance.now() - began), said };
}

// The control plane as a whole: what is started in which order, what there is to ask of it, and its end.
//
//   G1. One process a data directory (lock.ts); what an earlier one left is ended before anything starts.
//   G2. Each program starts when what it needs is ready: etcd, the API server, CRDs, then the rest at once.
//   G3. Its address stays the same from start to start, as long as nobody else takes the port.
//   G4. close() ends everything in the reverse order, within five seconds. Twice is once.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Fault, onAbort, type Clock, type Logger } from "#core";
import { KubeClient } from "#core/store/kube/client.ts";
import { connectionFrom } from "#core/store/kube/connection.ts";
import type { Bundle } from "./bundle.ts";
import { settleCertificates, type Certificates } from "./certificates.ts";
import { etcdAt } from "./etcd.ts";
import { writeDurably } from "./files.ts";
import { keepHouse, relieve } from "./housekeeping.ts";
import { install, installationOf, takeWebhooksOff } from "./install.ts";
import { fileKubeconfig, inlineKubeconfig } from "./kubeconfig.ts";
import { settleFolders, type Layout } from "./layout.ts";
import { takeLock } from "./lock.ts";
import { endOrphans } from "./orphans.ts";
import { settlePorts, type Ports } from "./ports.ts";
import { probe } from "./probe.ts";
import { credentialsOf, kubeconfigOf, recipesOf, runningNames, type RunningName } from "./recipes.ts";
import { expectData, finishRestore } from "./restore.ts";
import { expectUpgrade, versionsOf, writeVersions } from "./upgrade.ts";
import {
  listSnapshots,
  sweepPartials,
  takeIfDue,
  takeSnapshot,
  untilDue,
  type SnapshotInfo,
} from "./snapshots.ts";
import { spawnProgram, type Spawn } from "./supervisor/process.ts";
import { Program, type ProgramStatus } from "./supervisor/program.ts";

const minuteMs = 60_000;
const upgradesKept = 3;

export interface ControlPlaneOptions {
  /** Everything lies here; made when absent, readable by its owner alone. */
  readonly dataDir: string;
  readonly bundle: Bundle;
  /** False: etcd does not wait for the disk, and a power cut loses data. For tests. True unless told. */
  readonly fsync?: boolean;
  /** How long the start may take in all, milliseconds; 3 minutes unless told. */
  readonly startMs?: number;
  /**
   * Called when the API answers and before Cluster API's managers run: what a restored etcd brought back and must not act is taken away
   * here. Nobody answers for webhooks yet: `withoutWebhooks` takes them off, and they come back with what is installed afterwards.
   */
  readonly beforeManagers?: (api: EarlyApi, signal: AbortSignal) => Promise<void>;
  /** How long to wait for another process to let go of the data directory, milliseconds; 10 s unless told. */
  readonly lockMs?: number;
  /** Every half an hour, ten of them kept, unless told. */
  readonly snapshots?: { readonly everyMs: number; readonly keep: number };
  /** How large etcd's file may become; 4 GiB unless told. */
  readonly quotaBytes?: number;
}

/** The API while nothing but etcd and itself runs. CRDs are those of the last run; an empty etcd has none. */
export interface EarlyApi {
  /** The administrator's. Secret. */
  readonly kubeconfig: string;
  withoutWebhooks(): Promise<void>;
}

export interface ControlPlaneDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Starts a program; as a child process unless told. */
  readonly spawn?: Spawn;
}

export interface ControlPlane {
  /** "https://127.0.0.1:21234". */
  readonly server: string;
  /** The administrator's, with everything in it. Secret. */
  readonly kubeconfig: string;
  readonly kubeconfigPath: string;
  status(): Promise<readonly ProgramStatus[]>;
  /** Takes a snapshot of etcd now, whether or not anything changed. */
  snapshot(): Promise<SnapshotInfo>;
  close(): Promise<void>;
}

/**
 * Starts the control plane in this folder and resolves when all of it is ready. Rejects with what to do when a program cannot start, when
 * it takes too long, or when another process runs it (Busy). When `signal` aborts, it is closed.
 */
export async function startControlPlane(
  options: ControlPlaneOptions,
  deps: ControlPlaneDeps,
  signal: AbortSignal,
): Promise<ControlPlane> {
  const began = deps.clock.now();
  const layout = await settleFolders(options.dataDir);
  const release = await takeLock(layout.lock, deps, options.lockMs ?? 10_000, signal);
  const programs = new Map<RunningName, Program>();
  const house = new AbortController();
  let chores: Promise<void> | undefined;
  const close = once(async () => {
    house.abort();
    await chores;
    await stopAll(programs);
    await release();
  });
  try {
    await endOrphans(layout.dataDir, deps, signal); // G1
    await finishRestore(layout);
    for (const folder of [layout.snapshots, layout.upgrades]) await sweepPartials(folder);
    await expectData(layout);
    const { turn, changes } = await expectUpgrade(layout, versionsOf(options.bundle));
    const certificates = await settleCertificates(layout, deps.clock);
    const ports = await settlePorts(layout.ports, deps);
    const server = `https://127.0.0.1:${ports["kube-apiserver"]}`; // G3
    const kubeconfig = inlineKubeconfig(server, certificates.ca, certificates.admin);
    await writeKubeconfigs(layout, server, kubeconfig, certificates);

    const misses = (name: RunningName) =>
      needs(name).find((needed) => programs.get(needed)?.state !== "ready");
    for (const program of makePrograms(options, deps, layout, ports, certificates, misses)) {
      programs.set(program.name as RunningName, program);
    }
    await within(
      deps.clock,
      options.startMs ?? 180_000,
      signal,
      () => troubles(programs),
      async (inTime) => {
        const ready = (...names: RunningName[]) =>
          Promise.all(names.map((name) => programs.get(name)!.ready(inTime)));
        await ready("etcd"); // G2
        if (turn === "upgrade") await saveBeforeUpgrade(layout, changes, deps, inTime);
        if (turn !== "same") await writeVersions(layout, versionsOf(options.bundle));
        await writeDurably(layout.begun, "");
        await ready("kube-apiserver");
        const client = new KubeClient(await connectionFrom(kubeconfig), deps.clock, 30_000);
        const others = runningNames.slice(2);
        try {
          const withoutWebhooks = () => takeWebhooksOff({ client, log: deps.log }, inTime);
          await options.beforeManagers?.({ kubeconfig, withoutWebhooks }, inTime);
          const wanted = installationOf(options.bundle, ports, certificates.ca);
          await install(wanted, { client, clock: deps.clock, log: deps.log }, inTime);
        } finally {
          await client.close();
        }
        await ready(...others);
      },
    );
    deps.log.info("control plane ready", { server, tookMs: deps.clock.now() - began });
    const unlink = onAbort(signal, () => void close());
    const etcd = etcdAt(layout.etcdHttpSocket);
    const { everyMs, keep } = options.snapshots ?? { everyMs: 30 * minuteMs, keep: 10 };
    const place = { folder: layout.snapshots, keep };
    const atEtcd = { etcd, clock: deps.clock, log: deps.log };
    chores = keepHouse(
      [
        {
          name: "snapshot",
          everyMs,
          firstMs: await untilDue(place.folder, everyMs, deps.clock.now()),
          work: (stop) => takeIfDue(place, atEtcd, stop),
        },
        { name: "room", everyMs: minuteMs, work: (stop) => relieve(etcd, deps.log, stop) },
        { name: "certificates", everyMs: 60 * minuteMs, work: () => certificates.renew() },
      ],
      deps,
      house.signal,
    );
    return {
      server,
      kubeconfig,
      kubeconfigPath: layout.adminKubeconfig,
      status: () => Promise.all([...programs.values()].map((program) => program.status())),
      snapshot: () => takeSnapshot(place, atEtcd),
      close: async () => {
        unlink();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw Fault.from(error, "starting the control plane");
  }
}

/**
 * Takes a snapshot of a control plane that another process runs, as its `snapshot()` would. Unavailable when none runs in this folder.
 */
export async function snapshotControlPlane(
  { dataDir, keep = 10 }: { readonly dataDir: string; readonly keep?: number },
  { clock, log }: Pick<ControlPlaneDeps, "clock" | "log">,
  signal: AbortSignal,
): Promise<SnapshotInfo> {
  const layout = await settleFolders(dataDir);
  if (!existsSync(layout.etcdHttpSocket)) {
    throw new Fault("Unavailable", `no control plane runs in ${dataDir}: start the gateway first`);
  }
  const etcd = etcdAt(layout.etcdHttpSocket);
  return takeSnapshot({ folder: layout.snapshots, keep }, { etcd, clock, log }, signal);
}

/** The snapshots of a control plane, the newest first; also those of before its upgrades. */
export async function snapshotsOf(dataDir: string): Promise<SnapshotInfo[]> {
  const { snapshots, upgrades } = await settleFolders(dataDir);
  const all = [...(await listSnapshots(snapshots)), ...(await listSnapshots(upgrades))];
  return all.sort((a, b) => b.takenAt - a.takenAt);
}

/** U3: etcd alone runs, and nothing of what is new has written to it. */
async function saveBeforeUpgrade(
  layout: Layout,
  changes: readonly string[],
  { clock, log }: ControlPlaneDeps,
  signal: AbortSignal,
): Promise<void> {
  const etcd = etcdAt(layout.etcdHttpSocket);
  const { path } = await takeSnapshot(
    { folder: layout.upgrades, keep: upgradesKept },
    { etcd, clock, log },
    signal,
  );
  log.info("upgrading", { changes: changes.join(", "), goingBack: `pcg controlplane restore ${path}` });
}

async function writeKubeconfigs(
  layout: Layout,
  server: string,
  admin: string,
  certificates: Certificates,
): Promise<void> {
  await writeDurably(layout.adminKubeconfig, admin);
  for (const name of runningNames.slice(2)) {
    const pair = { cert: join(layout.pair(name), "tls.crt"), key: join(layout.pair(name), "tls.key") };
    await writeDurably(kubeconfigOf(layout, name), fileKubeconfig(server, certificates.caFile, pair));
  }
  await writeDurably(credentialsOf(layout), "{}\n");
}

function makePrograms(
  options: ControlPlaneOptions,
  deps: ControlPlaneDeps,
  layout: Layout,
  ports: Ports,
  certificates: Certificates,
  misses: (name: RunningName) => RunningName | undefined,
): Program[] {
  const { bundle, fsync = true, quotaBytes = 4 * 1024 ** 3 } = options;
  const recipes = recipesOf({ bundle, layout, ports, certificates, fsync, quotaBytes });
  const identity = { ca: certificates.ca, client: certificates.admin };
  return runningNames.map((name) => {
    const { version, command, health, stopMs } = recipes[name];
    return new Program(
      {
        name,
        version,
        command: () => command,
        probe: (signal) => probe(health, identity, signal),
        stopMs,
        misses: () => misses(name),
        dataDir: layout.dataDir,
      },
      { ...deps, spawn: deps.spawn ?? spawnProgram },
    );
  });
}

/** Whom a program cannot do without. */
function needs(name: RunningName): readonly RunningName[] {
  if (name === "etcd") return [];
  return name === "kube-apiserver" ? ["etcd"] : ["etcd", "kube-apiserver"];
}

/** G4: whoever uses another goes before it. */
async function stopAll(programs: ReadonlyMap<RunningName, Program>): Promise<void> {
  const waves: readonly RunningName[][] = [
    ["capi-core", "cabpk", "kcp", "capv", "kube-controller-manager"],
    ["kube-apiserver"],
    ["etcd"],
  ];
  for (const wave of waves) await Promise.all(wave.map(async (name) => programs.get(name)?.stop()));
}

/** What the programs have to say that are not ready: ": etcd: …; capv: …". */
async function troubles(programs: ReadonlyMap<RunningName, Program>): Promise<string> {
  const status = await Promise.all([...programs.values()].map((program) => program.status()));
  const told = status.flatMap(({ name, message }) => (message === undefined ? [] : [`${name}: ${message}`]));
  return told.length > 0 ? `: ${told.join("; ")}` : "";
}

/** Work that is given so much time; TimedOut, with `why`, when it takes longer. */
async function within<T>(
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  why: () => Promise<string>,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const unlink = onAbort(signal, () => limit.abort());
  let late = false;
  const cancel = clock.after(ms, () => {
    late = true;
    limit.abort();
  });
  try {
    return await work(limit.signal);
  } catch (error) {
    if (late) throw new Fault("TimedOut", `it was not ready within ${ms} ms${await why()}`, { cause: error });
    throw error;
  } finally {
    cancel();
    unlink();
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => (running ??= work());
}

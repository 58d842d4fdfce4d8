// Machines that run on a real simulated vCenter and form real clusters: the stand-in of the sandbox over vcsim and kube-apiserver.
import { appendFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { Fault, jsonLogger, systemClock, type Logger, type Secret } from "#core";
import { knobs as knobsWith, type Knobs } from "#sandbox/knobs.ts";
import type { Endpoint } from "#sandbox/workload/boot.ts";
import { machineStandIn, type MachineStandIn } from "#sandbox/workload/machines.ts";
import type { Programs } from "#sandbox/workload/programs.ts";
import type { Workload, WorkloadHost } from "#sandbox/workload/workload.ts";
import { connectVsphere } from "#vsphere";
import { KubeWorkload, kubeWorkloads } from "./kube-workloads.ts";
import { processPrograms, type RunningPod } from "./processes.ts";
import { serviceProxy } from "./service-proxy.ts";
import { vcsimHypervisor } from "./vcsim-hypervisor.ts";

export interface MachinesOptions {
  /** A folder for this run: machines.log, and a folder clusters/HOST_PORT for each cluster, its programs' logs in it. */
  readonly dir: string;
  /** The vcsim, and an account that may do everything. */
  readonly vcenter: {
    readonly server: string;
    readonly user: string;
    readonly password: Secret;
    readonly thumbprint: string;
  };
  readonly knobs?: Partial<Knobs>;
  /** Where messages go; machines.log unless told. */
  readonly log?: Logger;
  /** More of what Deployments may run, or something else than the real programs. */
  readonly programs?: Programs;
  /** A line that can be cut lies before each cluster's API. */
  readonly line?: boolean;
}

export interface Machines extends MachineStandIn {
  /** Turn them while things run. */
  readonly knobs: Knobs;
  /** The API at an endpoint, to stop it and start it again while its machines and programs run on; undefined when there is none. */
  api(
    endpoint: Endpoint,
  ): Pick<KubeWorkload, "start" | "stop" | "server" | "ask" | "line" | "settings"> | undefined;
  /** The programs that run in the cluster at an endpoint. */
  pods(endpoint: Endpoint): readonly RunningPod[];
}

/** Plays every machine of that vCenter from now on; `stop` ends all that was started. */
export function startMachines({
  dir,
  vcenter,
  log = fileLogger(join(dir, "machines.log")),
  line = false,
  ...options
}: MachinesOptions): Machines {
  const clock = systemClock;
  const knobs = knobsWith({ pollMs: 100, healthMs: 1_000, bootMs: 100, joinMs: 100, ...options.knobs });
  const client = connectVsphere({
    server: vcenter.server,
    username: vcenter.user,
    password: vcenter.password,
    thumbprint: vcenter.thumbprint,
    clock,
    log,
  });
  const pods = new Map<Workload, Set<RunningPod>>();
  const podsOf = (workload: Workload) => {
    const have = pods.get(workload) ?? new Set();
    pods.set(workload, have);
    return have;
  };
  const apis = new Map<string, KubeWorkload>();
  const apiAt = ({ host, port }: Endpoint) => apis.get(`${host}:${port}`);
  const workloads = noting(kubeWorkloads({ clock, log, dir: join(dir, "clusters"), line }), apis);
  const standIn = machineStandIn({
    clock,
    log,
    random: Math.random,
    knobs,
    hypervisor: vcsimHypervisor({ client, clock, log }),
    workloads,
    programs: (workload) => ({ ...processPrograms(real(workload), podsOf(workload)), ...options.programs }),
    controllers: (workload, signal) => {
      const { store, endpoint } = workload;
      return [serviceProxy({ store, log, pods: podsOf(workload), api: endpoint }, signal)];
    },
  });
  return {
    ...standIn,
    knobs,
    api: apiAt,
    pods(endpoint) {
      const workload = apiAt(endpoint);
      return workload ? [...podsOf(workload)] : [];
    },
    async stop() {
      await standIn.stop();
      await client.close();
    },
  };
}

function fileLogger(path: string): Logger {
  mkdirSync(dirname(path), { recursive: true });
  return jsonLogger("info", (line) => appendFileSync(path, line));
}

function real(workload: Workload): KubeWorkload {
  if (workload instanceof KubeWorkload) return workload;
  throw new Fault("Bug", "programs run on real APIs here");
}

/** Remembers what was opened, by endpoint. */
function noting(host: WorkloadHost, apis: Map<string, KubeWorkload>): WorkloadHost {
  return {
    ...host,
    async open(seed) {
      const opened = real(await host.open(seed));
      apis.set(`${seed.endpoint.host}:${seed.endpoint.port}`, opened);
      return opened;
    },
  };
}

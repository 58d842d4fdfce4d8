// A workload cluster while machines of it exist: who belongs to it, its API, and the kubelet and whatever else works inside while the
// API answers.
import { runControllers, type Clock, type Controller, type Logger, type RunningControllers } from "#core";
import { kubelet, type Kubelet } from "./kubelet.ts";
import type { Programs } from "./programs.ts";
import type { Workload } from "./workload.ts";

export interface LiveClusterDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** What Deployments of this cluster may run. */
  readonly programs: (workload: Workload) => Programs;
  /** What else works on its API, until the signal aborts: a stand-in for kube-proxy, say. */
  readonly controllers?: (workload: Workload, signal: AbortSignal) => readonly Controller[];
}

interface Inside {
  readonly stop: AbortController;
  readonly controllers: RunningControllers;
  readonly kubelet: Kubelet;
}

export class LiveCluster {
  readonly workload: Workload;
  /** Control-plane VMs that run now, by BIOS UUID. */
  readonly up = new Set<string>();
  /** All that exist. */
  readonly members = new Set<string>();
  readonly #deps: LiveClusterDeps;
  #inside: Inside | undefined;
  #tail: Promise<void> = Promise.resolve();

  constructor(deps: LiveClusterDeps, workload: Workload) {
    this.#deps = deps;
    this.workload = workload;
  }

  /** The API answers when it resolves. Twice is once. */
  start(): Promise<void> {
    return this.#inOrder(async () => {
      await this.workload.start();
      this.#inside ??= this.#begin();
    });
  }

  /** Ends what runs inside, then the API. */
  stop(): Promise<void> {
    return this.#inOrder(async () => {
      await this.#end();
      await this.workload.stop();
    });
  }

  close(forget: boolean): Promise<void> {
    return this.#inOrder(async () => {
      await this.#end();
      await this.workload.close(forget);
    });
  }

  #begin(): Inside {
    const { clock, random } = this.#deps;
    const { workload } = this;
    const { host, port } = workload.endpoint;
    const log = this.#deps.log.child({ workload: `${host}:${port}` });
    const { store, kubeconfig } = workload;
    const inner = kubelet({ store, kubeconfig, programs: this.#deps.programs(workload), clock, log });
    const stop = new AbortController();
    const controllers = runControllers(
      { store, clock, random, log },
      [inner.controller, ...(this.#deps.controllers?.(workload, stop.signal) ?? [])],
      stop.signal,
    );
    return { stop, controllers, kubelet: inner };
  }

  async #end(): Promise<void> {
    const inside = this.#inside;
    this.#inside = undefined;
    if (!inside) return;
    inside.stop.abort();
    await inside.kubelet.stop();
    await inside.controllers.stopped;
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(work);
    this.#tail = done.catch(() => {});
    return done;
  }
}

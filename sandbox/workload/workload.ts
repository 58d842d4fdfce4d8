// The API of one workload cluster: a store, served over TLS with the cluster's own authority at the cluster's own endpoint.
//
//   W1. It answers while at least one of its control-plane machines runs, and forgets everything when the last one is destroyed.
//   W2. Opened twice is opened once; what was there before a restart is found again where stores are kept on disk.
import type { Clock, Logger, OwnedStore, ResourceStore } from "#core";
import { serveStore, type ServedStore } from "#core/store/serve.ts";
import { allKinds, namespace as namespaceKind } from "#proto";
import { adminKubeconfig, issue, type KeyPair } from "../capi/certificates.ts";
import { ensure } from "../capi/edit.ts";
import type { Endpoint } from "./boot.ts";

export interface WorkloadDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Opens (or makes) the store behind an endpoint. */
  readonly open: (endpoint: Endpoint) => Promise<OwnedStore>;
  /** Whether `open` would find something that was there before. */
  readonly has: (endpoint: Endpoint) => Promise<boolean>;
  /** Removes what `open` made, after it was closed. */
  readonly forget: (endpoint: Endpoint) => Promise<void>;
  /** Whether the API is really listened for; false keeps it in the process (for tests that need no line). */
  readonly listen: boolean;
}

export class Workload {
  readonly endpoint: Endpoint;
  readonly store: OwnedStore;
  /** An administrator's kubeconfig, as a program inside the cluster would be given one. */
  readonly kubeconfig: string;
  readonly #deps: WorkloadDeps;
  readonly #authority: KeyPair;
  #served: ServedStore | undefined;
  #up = false;

  private constructor(
    deps: WorkloadDeps,
    endpoint: Endpoint,
    store: OwnedStore,
    authority: KeyPair,
    kubeconfig: string,
  ) {
    this.#deps = deps;
    this.endpoint = endpoint;
    this.store = store;
    this.#authority = authority;
    this.kubeconfig = kubeconfig;
  }

  static async open(deps: WorkloadDeps, endpoint: Endpoint, authority: KeyPair): Promise<Workload> {
    const store = await deps.open(endpoint);
    const kubeconfig = await adminKubeconfig("workload", endpoint, authority, deps.clock);
    for (const name of ["default", "kube-system", "kube-public", "kube-node-lease"])
      await ensure(store, namespaceKind, { metadata: { name } });
    return new Workload(deps, endpoint, store, authority, kubeconfig);
  }

  /** The certificate that clients of this API trust, PEM. */
  get authorityCertificate(): string {
    return this.#authority.certificate;
  }

  /** The store while the API answers, else undefined. */
  get reachable(): ResourceStore | undefined {
    return this.#up ? this.store : undefined;
  }

  /** Starts to answer (W1). Unavailable when the address cannot be listened on. */
  async start(): Promise<void> {
    if (this.#up) return;
    this.#up = true;
    if (!this.#deps.listen) return;
    const { host, port } = this.endpoint;
    try {
      const names = [
        host,
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "10.96.0.1",
      ];
      const { certificate, key } = await issue(
        this.#authority,
        { commonName: "kube-apiserver" },
        { server: names },
        this.#deps.clock,
      );
      this.#served = await serveStore(this.store, {
        kinds: allKinds,
        listen: { host, port },
        tls: { cert: certificate, key, clientCa: this.#authority.certificate },
        log: this.#deps.log,
        clock: this.#deps.clock,
      });
    } catch (error) {
      this.#up = false;
      throw error;
    }
  }

  /** Stops to answer; the store stays. */
  async stop(): Promise<void> {
    this.#up = false;
    const served = this.#served;
    this.#served = undefined;
    await served?.close();
  }

  /** Stops and lets the store go; with `forget`, for good. */
  async close(forget: boolean): Promise<void> {
    await this.stop();
    await this.store.close();
    if (forget) await this.#deps.forget(this.endpoint);
  }
}

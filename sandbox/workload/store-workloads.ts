// Workload APIs that are played: a store each, served over TLS with the cluster's own authority at the cluster's own endpoint.
import type { Clock, Logger, OwnedStore, ResourceStore } from "#core";
import { serveStore, type ServedStore } from "#core/store/serve.ts";
import { allKinds, namespace as namespaceKind } from "#proto";
import { adminKubeconfig, issue, type KeyPair } from "../capi/certificates.ts";
import { ensure } from "../capi/edit.ts";
import type { Endpoint } from "./boot.ts";
import type { Workload, WorkloadHost } from "./workload.ts";

export interface StoreWorkloadDeps {
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

export function storeWorkloads(deps: StoreWorkloadDeps): WorkloadHost {
  return {
    has: deps.has,
    async open({ endpoint, authority }) {
      const store = await deps.open(endpoint);
      const kubeconfig = await adminKubeconfig("workload", endpoint, authority, deps.clock);
      for (const name of ["default", "kube-system", "kube-public", "kube-node-lease"])
        await ensure(store, namespaceKind, { metadata: { name } });
      return new StoreWorkload(deps, endpoint, store, authority, kubeconfig);
    },
  };
}

class StoreWorkload implements Workload {
  readonly endpoint: Endpoint;
  readonly store: OwnedStore;
  readonly kubeconfig: string;
  readonly #deps: StoreWorkloadDeps;
  readonly #authority: KeyPair;
  #served: ServedStore | undefined;
  #up = false;

  constructor(
    deps: StoreWorkloadDeps,
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

  get authorityCertificate(): string {
    return this.#authority.certificate;
  }

  get reachable(): ResourceStore | undefined {
    return this.#up ? this.store : undefined;
  }

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

  async stop(): Promise<void> {
    this.#up = false;
    const served = this.#served;
    this.#served = undefined;
    await served?.close();
  }

  async close(forget: boolean): Promise<void> {
    await this.stop();
    await this.store.close();
    if (forget) await this.#deps.forget(this.endpoint);
  }
}

// Machines with two network cards and no DHCP: how long from a machine's creation until it has all its addresses.
import { runControllers, silentLogger, systemClock, type Draft, type Kind } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { ipamControllers, staticControllers } from "#ipam";
import {
  cluster,
  inClusterIPPool,
  metal3IpamGroup,
  vsphereCluster,
  vsphereMachine,
  vsphereMachineTemplate,
  vsphereVM,
  type Cluster,
  type VSphereMachine,
} from "#proto";
import { onSite, place } from "./site.ts";
import type { Figure } from "../figure/limits.ts";

const machines = 30;

export function run(): AsyncGenerator<Figure> {
  return onSite(
    async function* ({ kube, client }) {
      const store = await kubeStore(kube.kubeconfig, { clock: systemClock });
      const end = new AbortController();
      const deps = { store, clock: systemClock, log: silentLogger, random: Math.random, exclusive: true };
      const witness = { presence: async () => "there" as const };
      const running = runControllers(
        deps,
        [
          ...ipamControllers(deps),
          ...staticControllers({ ...deps, witness, serves: ({ group }) => group !== metal3IpamGroup }),
        ],
        end.signal,
      );
      try {
        await running.ready;
        const labels = { "cluster.x-k8s.io/ip-pool-name": "cards" };
        const metadata = { namespace: place, name: "shop" };
        await client.create(cluster, { metadata, spec: {} } as Draft<Cluster>);
        await client.create(inClusterIPPool, {
          metadata: { namespace: place, name: "cards" },
          spec: { addresses: ["10.1.0.0/16"], prefix: 16, gateway: "10.1.0.1" },
        });
        await client.create(vsphereMachineTemplate, {
          metadata: { namespace: place, name: "cards", labels },
          spec: { template: { spec: { template: "ubuntu", network: { devices: [] } } } },
        });
        const tookMs: number[] = [];
        for (let at = 0; at < machines; at++) {
          const name = `machine-${at}`;
          const started = performance.now();
          await client.create(vsphereMachine, machine(name));
          for (;;) {
            const now = await client.get(vsphereMachine, { namespace: place, name });
            if (now?.spec.network.devices.every(({ ipAddrs }) => ipAddrs?.length === 1)) break;
            if (performance.now() - started > 60_000) throw new Error(`${name} has no addresses`);
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
          tookMs.push(performance.now() - started);
        }
        tookMs.sort((a, b) => a - b);
        const [p50, most] = [tookMs[machines >> 1] ?? 0, tookMs[machines - 1] ?? 0];
        yield {
          figure: "a machine of two cards, patched after its creation",
          machines,
          p50Ms: Math.round(p50),
          mostMs: Math.round(most),
          must: { mostMs: { most: 1_000 } },
        };
      } finally {
        end.abort();
        await running.stopped;
        await store.close();
      }
    },
    [vsphereCluster, vsphereMachine, vsphereMachineTemplate, vsphereVM] as unknown as Kind[],
  );
}

function machine(name: string): Draft<VSphereMachine> {
  return {
    metadata: {
      namespace: place,
      name,
      labels: { "cluster.x-k8s.io/cluster-name": "shop" },
      annotations: { "cluster.x-k8s.io/cloned-from-name": "cards" },
    },
    spec: { template: "ubuntu", network: { devices: [{ networkName: "a" }, { networkName: "b" }] } },
  };
}

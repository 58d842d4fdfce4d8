// Plays kube-proxy for Services whose address lies in 127.0.0.0/8: listens there, and brings each connection to a program that the
// selector means. So an API server reaches webhooks by `clientConfig.service`, as it would in a cluster of machines.
import { connect, createServer, type Server, type Socket } from "node:net";
import { Fault, keyText, type Controller, type Logger, type Resource, type ResourceStore } from "#core";
import { service as serviceKind } from "#proto";
import type { Endpoint } from "#sandbox/workload/boot.ts";
import type { RunningPod } from "./processes.ts";

export interface ServiceProxyDeps {
  readonly store: ResourceStore;
  readonly log: Logger;
  readonly pods: ReadonlySet<RunningPod>;
  /** Where the Service `kubernetes` leads. */
  readonly api: Endpoint;
}

interface ServiceSpec {
  readonly clusterIP?: string;
  readonly selector?: Readonly<Record<string, string>>;
  readonly ports?: readonly {
    readonly port: number;
    readonly targetPort?: number | string;
    readonly protocol?: string;
  }[];
}

/** The signal ends every listener. */
export function serviceProxy({ store, log, pods, api }: ServiceProxyDeps, signal: AbortSignal): Controller {
  const held = new Map<string, Map<string, Listener>>();
  signal.addEventListener("abort", () => {
    for (const listeners of held.values()) for (const listener of listeners.values()) listener.close();
  });

  return {
    name: "service-proxy",
    kind: serviceKind,
    follows: [],
    concurrency: 1,
    backoff: { baseMs: 200, capMs: 5_000 },
    reconciler: {
      async reconcile(key) {
        const service = await store.get(serviceKind, key);
        const wanted = service && !signal.aborted ? placesOf(service) : [];
        const listeners = held.get(keyText(key)) ?? new Map<string, Listener>();
        held.set(keyText(key), listeners);
        for (const [address, listener] of listeners) {
          if (wanted.some((place) => addressOf(place) === address)) continue;
          listeners.delete(address);
          listener.close();
        }
        for (const place of wanted) {
          const have = listeners.get(addressOf(place));
          if (have) have.place = place;
          else {
            const made = await listen(place, (now) => target(key.name, key.namespace ?? "", now));
            listeners.set(addressOf(place), made);
          }
        }
        return {};
      },
    },
  };

  /** Looked up for each connection: programs come and go. */
  function target(name: string, namespace: string, place: Place): Endpoint | undefined {
    if (name === "kubernetes" && namespace === "default") return api;
    const pod = [...pods].find((one) => one.ready && isMeant(one, namespace, place.selector));
    const port = pod?.port(place.target);
    if (port === undefined) log.info("nobody serves", { service: name, namespace, port: place.port });
    return port === undefined ? undefined : { host: "127.0.0.1", port };
  }
}

interface Place {
  readonly host: string;
  readonly port: number;
  readonly target: number | string;
  readonly selector: Readonly<Record<string, string>>;
}

interface Listener {
  /** Where connections go that come from now on. */
  place: Place;
  close(): void;
}

function placesOf(service: Resource): Place[] {
  const { clusterIP = "", selector = {}, ports = [] } = (service.spec ?? {}) as ServiceSpec;
  if (!clusterIP.startsWith("127.")) return [];
  return ports
    .filter(({ protocol = "TCP" }) => protocol === "TCP")
    .map(({ port, targetPort = port }) => ({ host: clusterIP, port, target: targetPort, selector }));
}

function addressOf({ host, port }: Place): string {
  return `${host}:${port}`;
}

function isMeant(pod: RunningPod, namespace: string, selector: Place["selector"]): boolean {
  const wanted = Object.entries(selector);
  return (
    pod.namespace === namespace &&
    wanted.length > 0 &&
    wanted.every(([name, value]) => pod.labels[name] === value)
  );
}

async function listen(first: Place, target: (place: Place) => Endpoint | undefined): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const to = target(listener.place);
    if (!to) return void near.destroy();
    const far = connect(to.port, to.host);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.once("error", () => other.destroy());
      one.once("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  const listener: Listener = {
    place: first,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  await bind(server, first);
  return listener;
}

function bind(server: Server, { host, port }: Place): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const hint =
        error.code === "EACCES"
          ? " (Services have low ports: sysctl net.ipv4.ip_unprivileged_port_start=0)"
          : "";
      reject(new Fault("Unavailable", `listening on ${host}:${port}: ${error.message}${hint}`));
    });
    server.listen(port, host, () => resolve());
  });
}

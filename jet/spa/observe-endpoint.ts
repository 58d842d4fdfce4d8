// Whether the address that a cluster's API shall have is free: no other cluster of this gateway has it, and nobody answers there.
// Only looked at before the cluster has objects; afterwards whoever answers is the cluster itself.
import { Fault, type ResourceStore } from "#core";
import { spa, type Spa } from "#proto";
import type { JetDeps } from "../ports.ts";
import type { Resolved } from "../render/cluster.ts";
import type { EndpointSeen } from "./seen.ts";

/** Who answered where, and when it was asked: an address that is silent takes a second to ask. */
export type EndpointMemory = Map<string, { readonly at: number; readonly answers: boolean }>;

const rememberedMs = 15_000;

export async function readEndpoint(
  deps: Pick<JetDeps, "store" | "answers" | "clock">,
  memory: EndpointMemory,
  found: Spa,
  endpoint: Resolved["endpoint"] | undefined,
  signal: AbortSignal,
): Promise<EndpointSeen | undefined> {
  if (!endpoint) return undefined;
  const takenBy = await otherCluster(deps.store, found, endpoint);
  // A load balancer or a name may well answer before the cluster is there.
  const ours = found.spec.network.endpoint.type === "VIP";
  const answers = ours && !takenBy && (await remembered(deps, memory, endpoint, signal));
  return { ...endpoint, ...(takenBy ? { takenBy } : {}), answers };
}

/** Silence is remembered for a while; somebody who answers is asked again each time. */
async function remembered(
  deps: Pick<JetDeps, "answers" | "clock">,
  memory: EndpointMemory,
  endpoint: Resolved["endpoint"],
  signal: AbortSignal,
): Promise<boolean> {
  const key = `${endpoint.host} ${endpoint.port}`;
  const at = deps.clock.now();
  const last = memory.get(key);
  if (last && !last.answers && at - last.at < rememberedMs) return false;
  const answers = await answersAt(deps, endpoint, signal);
  memory.set(key, { at, answers });
  return answers;
}

async function answersAt(
  { answers }: Pick<JetDeps, "answers">,
  endpoint: Resolved["endpoint"],
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return (await answers?.(endpoint, signal)) ?? false;
  } catch (error) {
    if (signal.aborted) throw Fault.from(error, `asking ${endpoint.host}`);
    return false; // who cannot be asked does not answer
  }
}

/** The name of another cluster of this gateway that has the address, or asked for it first. */
async function otherCluster(
  store: ResourceStore,
  found: Spa,
  endpoint: Resolved["endpoint"],
): Promise<string | undefined> {
  const { items } = await store.list(spa);
  return items.find(
    (other) => other.metadata.uid !== found.metadata.uid && goesBefore(other, found, endpoint),
  )?.spec.clusterName;
}

/** Pure. Of two that want the same, the one that is being built has it; else the older one. */
export function goesBefore(other: Spa, own: Spa, { host, port }: Resolved["endpoint"]): boolean {
  const { type, host: wished, port: theirPort } = other.spec.network.endpoint;
  const theirs = other.status?.endpoint?.host ?? wished;
  if (theirs !== host) return false;
  // A virtual address belongs to one machine; behind one load balancer several ports may lead to several clusters.
  const shared = type === "VIP" || own.spec.network.endpoint.type === "VIP" || theirPort === port;
  return shared && (isBuilt(other) || isOlder(other, own));
}

function isBuilt({ status }: Spa): boolean {
  return status?.milestones?.some((m) => m.key === "CloudInfrastructureReady" && m.state === "Done") ?? false;
}

function isOlder({ metadata: a }: Spa, { metadata: b }: Spa): boolean {
  return `${a.creationTimestamp} ${a.uid}` < `${b.creationTimestamp} ${b.uid}`;
}

// A start where all addresses of a /16 are in use: on a real kube-apiserver, whose etcd is filled directly.
import { randomUUID } from "node:crypto";
import { apiVersionOf, isFault, ownerReference, type Kind, type Resource } from "#core";
import { formatAddress } from "#ipam";
import { inClusterIPPool, ipAddress, ipAddressClaim } from "#proto";
import type { Kube } from "../../peers/harness/kube.ts";
import { Process } from "./process.ts";
import { claimOf, makeClaims, namesOf, onSite, place } from "./site.ts";
import { difference, writes } from "./writes.ts";
import type { Figure } from "../figure/limits.ts";

const first = 0x0a000002n;

export function run(count: number): AsyncGenerator<Figure> {
  return onSite(async function* ({ kube, client }) {
    const pool = await client.get(inClusterIPPool, { namespace: place, name: "nodes" });
    if (!pool) throw new Error("no pool");
    await put(kube, objects(pool, count));
    const warm = new Process("kube", kube.kubeconfigPath, "lead"); // the pool's status and finalizer
    await warm.hear("quiet");
    await warm.kill();

    const before = await writes(kube);
    const child = new Process("kube", kube.kubeconfigPath, "lead");
    const { readyMs, heapMiB } = await child.hear("ready");
    const isRoom = count < 65_533;
    const asked = Date.now();
    await makeClaims(client, ["late"]);
    await until(async () => {
      const claim = await client.get(ipAddressClaim, { namespace: place, name: "late" });
      return claim?.status?.conditions?.some(({ type }) => type === "Ready") ?? false;
    });
    const answeredMs = Date.now() - asked;
    const quiet = await child.hear("quiet");
    yield {
      figure: "cold start on Kubernetes",
      addresses: count,
      readyMs,
      answeredMs: readyMs + answeredMs,
      answer: isRoom ? "bound" : "exhausted",
      quietMs: quiet.quietMs,
      heapMiB: Math.max(heapMiB, quiet.heapMiB),
      writes: difference(await writes(kube), before),
      must: { answeredMs: { most: 10_000 }, heapMiB: { most: 300 } },
    };
    await child.kill();
  });
}

/** Claims that are bound, and their IPAddresses, as the API server stores them. */
function* objects(pool: Resource, count: number): Generator<readonly [Kind, Resource]> {
  const creationTimestamp = new Date(Date.now() - 3_600_000).toISOString().replace(/\.\d+Z$/, "Z");
  const ready = { type: "Ready", status: "True", lastTransitionTime: creationTimestamp };
  for (const [at, name] of namesOf(count).entries()) {
    const meta = { namespace: place, name, creationTimestamp, generation: 1 };
    const claim = {
      apiVersion: apiVersionOf(ipAddressClaim),
      kind: ipAddressClaim.kind,
      metadata: { ...meta, uid: randomUUID(), finalizers: ["ipam.cluster.x-k8s.io/ReleaseAddress"] },
      spec: claimOf(name).spec,
      status: {
        addressRef: { name },
        conditions: [{ ...ready, reason: "AddressAllocated", message: "" }],
        deprecated: { v1beta1: { conditions: [ready] } },
      },
    } as unknown as Resource;
    yield [ipAddressClaim, claim];
    const owners = [
      ownerReference(ipAddressClaim, claim as never, { controller: true, blockOwnerDeletion: true }),
      ownerReference(inClusterIPPool, pool as never, { controller: false, blockOwnerDeletion: true }),
    ];
    const metadata = {
      ...meta,
      uid: randomUUID(),
      finalizers: ["ipam.cluster.x-k8s.io/ProtectAddress"],
      ownerReferences: owners,
    };
    const address = formatAddress({ family: 4, value: first + BigInt(at) });
    const spec = {
      address,
      prefix: 16,
      gateway: "10.0.0.1",
      claimRef: { name },
      poolRef: claimOf(name).spec.poolRef,
    };
    const { kind } = ipAddress;
    yield [ipAddress, { apiVersion: apiVersionOf(ipAddress), kind, metadata, spec } as unknown as Resource];
  }
}

/** So many in a transaction as etcd takes. */
const atOnce = 100;

async function put(kube: Kube, all: Iterable<readonly [Kind, Resource]>): Promise<void> {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  let success: unknown[] = [];
  const send = async () => {
    const response = await fetch(`${kube.etcd}/v3/kv/txn`, {
      method: "POST",
      body: JSON.stringify({ success }),
    });
    if (!response.ok) throw new Error(`etcd: ${await response.text()}`);
    success = [];
  };
  for (const [{ group, plural }, object] of all) {
    const key = `/registry/${group}/${plural}/${place}/${object.metadata.name}`;
    success.push({ requestPut: { key: base64(key), value: base64(JSON.stringify(object)) } });
    if (success.length === atOnce) await send();
  }
  await send();
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 600_000; !(await holds().catch(isUnavailable));) {
    if (Date.now() > deadline) throw new Error("no answer to a claim in ten minutes");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function isUnavailable(error: unknown): false {
  if (!isFault(error, "Unavailable")) throw error;
  return false;
}

// Why a claim has its address, or why not; and what is known of an address. Pure: what a person would check, in that order.
import { isDeleting, keyText } from "#core";
import { metal3IpamGroup, metal3IPPool, ipamGroup } from "#proto";
import { formatAddress, parseAddress, type Address } from "../address.ts";
import { isPaused } from "../claim/observe.ts";
import { capiClaimFinalizer, claimFinalizer } from "../metal3/words.ts";
import { policyAt, poolPolicy } from "../policy.ts";
import { poolTerms } from "../terms.ts";
import { releaseAddress, type Pool } from "../words.ts";
import { poolView } from "./pools.ts";
import {
  addressOfClaim,
  consumerOf,
  isSamePool,
  pointerText,
  type Inventory,
  type KnownClaim,
  type KnownPool,
} from "./read.ts";

export interface Finding {
  /** "stop": this is why it has none. "note": worth knowing. */
  readonly is: "ok" | "stop" | "note";
  readonly text: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export interface Explanation {
  /** The answer in one sentence. */
  readonly verdict: string;
  readonly findings: readonly Finding[];
}

const servedPools = new Set([
  `${ipamGroup} InClusterIPPool`,
  `${ipamGroup} GlobalInClusterIPPool`,
  `${ipamGroup} InClusterPrefixPool`,
  `${ipamGroup} GlobalInClusterPrefixPool`,
  `${metal3IpamGroup} IPPool`,
]);

/** As things stand at `now`, milliseconds since 1970. Pure. */
export function explainClaim(claim: KnownClaim, inventory: Inventory, now: number): Explanation {
  const name = `${claim.kind.kind} ${keyText(claim.key)}`;
  const findings = claimFindings(claim, inventory, now);
  const address = addressOfClaim(inventory, claim);
  const stop = findings.find(({ is }) => is === "stop");
  if (isDeleting(claim.object))
    return { verdict: `${name} is being released${stop ? `: ${stop.text}` : ""}`, findings };
  if (address)
    return {
      verdict: `${name} has ${address.object.spec.address} from ${pointerText(claim.pool)}`,
      findings,
    };
  if (stop) return { verdict: `${name} has no address: ${stop.text}`, findings };
  const told = claim.message ? `: ${claim.message}` : "";
  return {
    verdict: `${name} has no address yet, and nothing stands in its way that can be seen from here${told}`,
    findings: [
      ...findings,
      {
        is: "note",
        text: "an IPAM controller should serve it within seconds",
        remedy: "see that the gateway runs (pcg status), or that `pcg ipam run` does, and look at its log",
      },
    ],
  };
}

function claimFindings(claim: KnownClaim, inventory: Inventory, now: number): Finding[] {
  const { key, pool: pointer, object } = claim;
  const findings: Finding[] = [];
  const add = (is: Finding["is"], text: string, remedy?: string) =>
    void findings.push({ is, text, ...(remedy === undefined ? {} : { remedy }) });

  const consumer = consumerOf(claim);
  add("ok", `made ${object.metadata.creationTimestamp}${consumer ? ` for ${consumer}` : ""}`);
  if (isPaused(object)) add("stop", "the claim is paused", "remove its annotation cluster.x-k8s.io/paused");
  clusterFinding(claim, inventory, add);

  if (!servedPools.has(`${pointer.group} ${pointer.kind}`)) {
    add(
      "stop",
      `${pointer.kind}.${pointer.group} is not a kind of pool that this IPAM serves`,
      "start the provider of that kind",
    );
    return findings;
  }
  const pool = inventory.pools.find((each) => isSamePool(each.pointer, pointer));
  if (!pool) {
    const others = inventory.pools.map((each) => pointerText(each.pointer));
    const hint =
      others.length > 0 ? `there are: ${others.slice(0, 5).join(", ")}` : "there is no pool at all";
    add("stop", `${pointerText(pointer)} does not exist`, `create it (${hint})`);
    return findings;
  }
  poolFindings(pool, inventory, add);
  const address = addressOfClaim(inventory, claim);
  if (address) {
    const { metadata, spec } = address.object;
    add("ok", `IPAddress ${metadata.name} with ${spec.address} was made ${metadata.creationTimestamp}`);
    if (!claim.bound) add("note", "the claim's status does not name it yet");
    addressFindings(address.address, pool, inventory, add);
    return findings;
  }
  wishFindings(claim, pool, inventory, add);
  queueFinding(claim, pool, inventory, { add, now });
  if (!hasOurFinalizer(object.metadata.finalizers))
    add("note", "no IPAM controller has taken it up: it bears no finalizer of one");
  if (claim.message) add("note", `it was told: ${claim.message}`);
  if (key.namespace !== pointer.namespace && pointer.namespace)
    add(
      "stop",
      `its pool is in namespace ${pointer.namespace}, it is in ${key.namespace ?? "none"}`,
      "make the claim in the pool's namespace",
    );
  return findings;
}

type Add = (is: Finding["is"], text: string, remedy?: string) => void;

function clusterFinding({ cluster: name, key }: KnownClaim, { clusters }: Inventory, add: Add): void {
  if (name === undefined) return;
  const found = clusters.find((each) => each.key.name === name && each.key.namespace === key.namespace);
  const text = keyText({ ...key, name });
  if (!found)
    add(
      "stop",
      `its Cluster ${text} does not exist`,
      "create it, or remove the claim's spec.clusterName or cluster-name label",
    );
  else if (found.paused)
    add(
      "stop",
      `its Cluster ${text} is paused`,
      "set its spec.paused to false, or remove its annotation cluster.x-k8s.io/paused",
    );
  else add("ok", `its Cluster ${text} is active`);
}

function poolFindings(pool: KnownPool, inventory: Inventory, add: Add): void {
  const { problems, deleting, paused, pointer } = pool;
  const view = poolView(pool, inventory);
  const name = pointerText(pointer);
  if (problems.length > 0)
    add(
      "stop",
      `${name} cannot be used: ${problems.map(({ field, message }) => `${field} ${message}`).join("; ")}`,
      "correct the pool",
    );
  if (deleting) add("stop", `${name} is being deleted`, "use another pool");
  if (paused) add("stop", `${name} is paused`, "remove its annotation cluster.x-k8s.io/paused");
  if (problems.length === 0)
    add(
      "ok",
      `${name} gives out ${view.total} addresses: ${view.used} in use, ${view.free} free, ${view.waiting} claims wait`,
    );
  if (view.outOfRange > 0)
    add(
      "note",
      `${view.outOfRange} of the addresses in use are out of its ranges (the pool was made smaller)`,
    );
}

function addressFindings(
  address: Address | undefined,
  pool: KnownPool,
  { addresses }: Inventory,
  add: Add,
): void {
  if (!address) return;
  const text = formatAddress(address);
  const same = addresses.filter((each) => each.address && formatAddress(each.address) === text);
  if (same.length > 1) {
    const all = same.map((each) => `${keyText(each.key)} of ${pointerText(each.pool)}`).join(", ");
    add(
      "note",
      `${text} is borne by ${same.length} IPAddresses: ${all}`,
      "release all but the one whose machine runs",
    );
  }
  if (!pool.gives(address))
    add(
      "note",
      `${pointerText(pool.pointer)} does not give out ${text} (any more)`,
      "it stays as long as it is held",
    );
}

function wishFindings({ wants, key }: KnownClaim, pool: KnownPool, inventory: Inventory, add: Add): void {
  const kept = pool.kept.get(key.name);
  const wanted = wants === undefined ? kept : parseAddress(wants);
  if (wants !== undefined && !wanted) {
    add("stop", `its annotation ipAddress, ${JSON.stringify(wants)}, is not an IP address`, "correct it");
    return;
  }
  if (!wanted) return;
  const text = formatAddress(wanted);
  add("ok", kept && wants === undefined ? `${text} is kept for it` : `it asks for ${text}`);
  if (kept && formatAddress(kept) !== text)
    add(
      "stop",
      `the pool keeps ${formatAddress(kept)} for it, but it asks for ${text}`,
      "remove one of the two",
    );
  else if (!pool.gives(wanted))
    add(
      "stop",
      `${pointerText(pool.pointer)} does not give out ${text}`,
      "ask for another, or add it to the pool",
    );
  const holder = inventory.addresses.find((each) => each.address && formatAddress(each.address) === text);
  if (holder)
    add(
      "stop",
      `${text} is in use by claim ${keyText({ ...holder.key, name: holder.claim })}`,
      "delete that claim, or ask for another",
    );
}

/** Who holds what it waits for, and how many are before it. */
function queueFinding(
  claim: KnownClaim,
  pool: KnownPool,
  inventory: Inventory,
  { add, now }: { readonly add: Add; readonly now: number },
): void {
  const view = poolView(pool, inventory);
  if (view.state !== "exhausted")
    return keptFinding(claim, pool, inventory, { free: BigInt(view.free), add, now });
  const holders = new Map<string, number>();
  for (const { cluster, key, pool: of } of inventory.addresses)
    if (isSamePool(of, pool.pointer)) {
      const who = cluster ? `cluster ${cluster}` : `namespace ${key.namespace ?? ""}`;
      holders.set(who, (holders.get(who) ?? 0) + 1);
    }
  const most = [...holders].sort(([, a], [, b]) => b - a).slice(0, 3);
  const turn = ({ object }: KnownClaim) => object.metadata.creationTimestamp;
  const before = inventory.claims.filter(
    (each) =>
      isSamePool(each.pool, claim.pool) &&
      !each.bound &&
      !isDeleting(each.object) &&
      turn(each) < turn(claim),
  ).length;
  add(
    "stop",
    `no address of ${pointerText(pool.pointer)} is free; ${before} claims wait before it` +
      (most.length > 0 ? `; held by ${most.map(([who, count]) => `${who} (${count})`).join(", ")}` : ""),
    "add addresses to the pool, or delete claims; `pcg ip plan` shows what an edit brings",
  );
}

/** Addresses that are free, but set aside for other clusters than the claim's. */
function keptFinding(
  claim: KnownClaim,
  { object, pointer, problems }: KnownPool,
  { addresses }: Inventory,
  { free, add, now }: { readonly free: bigint; readonly add: Add; readonly now: number },
): void {
  if (pointer.kind === metal3IPPool.kind || problems.length > 0) return;
  const terms = poolTerms(object as Pool);
  if (terms.kind === "wrong") return;
  const own = `${claim.key.namespace ?? ""}/${claim.cluster ?? ""}`;
  const open = policyAt(poolPolicy(object as Pool, terms).policy, now)
    .aside.filter(({ key }) => key !== own)
    .map(({ key, what }) => {
      const held = addresses.filter(
        (each) =>
          isSamePool(each.pool, pointer) && `${each.key.namespace ?? ""}/${each.cluster ?? ""}` === key,
      );
      return { key, left: Math.max(0, what - held.length) };
    })
    .filter(({ left }) => left > 0);
  const kept = open.reduce((sum, { left }) => sum + left, 0);
  if (kept === 0 || BigInt(kept) < free) return;
  add(
    "stop",
    `all ${free} free addresses of ${pointerText(pointer)} are set aside: ${open.map(({ key, left }) => `${left} for cluster ${key}`).join(", ")}`,
    "add addresses to the pool, lower that cluster's autoscaler maximum, or give back what was set aside by hand (pcg ip set-aside CLUSTER 0)",
  );
}

function hasOurFinalizer(finalizers: readonly string[] | undefined): boolean {
  return [releaseAddress, claimFinalizer, capiClaimFinalizer].some((each) => finalizers?.includes(each));
}

/** What is known of an address: who holds it, which pools it belongs to, and what it is to them. */
export function explainAddress(address: Address, inventory: Inventory): Explanation {
  const text = formatAddress(address);
  const findings: Finding[] = [];
  const holders = inventory.addresses.filter((each) => each.address && formatAddress(each.address) === text);
  for (const each of holders) {
    const claim = inventory.claims.find((one) => addressOfClaim(inventory, one) === each);
    const consumer = claim && consumerOf(claim);
    const of = keyText({ ...each.key, name: each.claim });
    findings.push({
      is: claim ? "ok" : "note",
      text: `held by claim ${of}${consumer ? ` for ${consumer}` : ""}, from ${pointerText(each.pool)}, since ${each.object.metadata.creationTimestamp}`,
      ...(claim ? {} : { remedy: `the claim is gone: pcg ip release ${text}` }),
    });
  }
  for (const pool of inventory.pools) {
    const name = pointerText(pool.pointer);
    const keeper = [...pool.kept].find(([, each]) => formatAddress(each) === text)?.[0];
    if (pool.gateways.some((each) => formatAddress(each) === text))
      findings.push({ is: "note", text: `it is a gateway of ${name}: never given out` });
    else if (keeper !== undefined)
      findings.push({ is: "note", text: `${name} keeps it for claim ${keeper}` });
    else if (pool.gives(address)) findings.push({ is: "ok", text: `${name} gives it out` });
  }
  if (holders.length > 1)
    findings.push({
      is: "stop",
      text: `${holders.length} IPAddresses bear it`,
      remedy: "release all but the one whose machine runs",
    });
  const pools = findings.filter(({ text: each }) => each.endsWith("gives it out")).length;
  if (pools > 1)
    findings.push({ is: "stop", text: `${pools} pools give it out`, remedy: "make their ranges distinct" });
  const verdict =
    holders.length > 0
      ? `${text} is in use`
      : findings.length === 0
        ? `${text} is in no pool, and nobody holds it`
        : `${text} is not in use`;
  return { verdict, findings };
}

// What to do about a Metal3 pool and all that is on it, given everything we saw. Pure.
//
//   P1. A claim gets our finalizer before anything is given to it; what is held stays held until the claim is deleted.
//   P2. Whoever came first is served first; a claim that cannot be served does not hold up the others, and is served when it can be.
//   P3. Paused (pool, its cluster, the claim, its cluster) means: nothing is given and nothing taken back. A cluster that cannot be
//       found stops giving only.
//   P4. A claim that others still hold (a foreign finalizer) keeps its address, as with Metal3.
//   P5. An address goes once: to the claim that holds its reservation, else to the first that may have it.
//   P6. An IPAddress torn from a claim that goes on is made anew as it was, if it can: what the claim was told is in use.
import { hasFinalizer, isDeleting, isOwnedBy, ownerOf, type Plan, type Resource } from "#core";
import { clusterNameLabel, type IPAddressClaim, type Metal3IPClaim } from "#proto";
import { formatAddress, parseAddress, type Address } from "../address.ts";
import { isPaused } from "../claim/observe.ts";
import { digitsOf, type Reservation } from "../reservation.ts";
import { byClaim, firstReserved, freeOf, rangesOf, type FreePick } from "./free.ts";
import { isOwn, toldName } from "./left.ts";
import { flavours, type Flavour, type Metal3Seen, type SeenAddress, type SeenClaim } from "./observe.ts";
import { isAllocatable, rangeOf, type Metal3Range, type Metal3Ranges } from "./ranges.ts";
import { namedAddress, poolFinalizer, poolText, provider, providerLabel } from "./words.ts";

/** An address for a claim, with what comes with it. */
export interface Grant {
  readonly claim: SeenClaim;
  readonly address: Address;
  readonly range: Metal3Range;
  /** Its claim may have this one only: the pool keeps it, or the claim asks for it. */
  readonly fixed: boolean;
}

/** A claim that is let go, and what it held. */
export interface Leaving {
  readonly claim: SeenClaim;
  readonly addresses: readonly SeenAddress[];
}

/** What a claim hears. */
export type Verdict =
  | { readonly kind: "bound"; readonly address: SeenAddress }
  | { readonly kind: "waiting"; readonly reason: WaitReason; readonly message: string };
export type WaitReason = "PoolNotReady" | "PoolExhausted" | "AllocationFailed";

/** Each is for many at once, since each is a write for each of them. */
export type Metal3Action =
  /** Finalizer, labels and owner of the pool. */
  | { readonly do: "mark pool" }
  | { readonly do: "protect claims"; readonly claims: readonly SeenClaim[] }
  /** Finalizer and owners of addresses that are there already. */
  | { readonly do: "adopt addresses"; readonly pairs: readonly (readonly [SeenClaim, SeenAddress])[] }
  | { readonly do: "release addresses"; readonly addresses: readonly SeenAddress[] }
  | { readonly do: "let claims go"; readonly leaving: readonly Leaving[] }
  | { readonly do: "give addresses"; readonly grants: readonly Grant[] }
  | { readonly do: "tell claims"; readonly verdicts: readonly (readonly [SeenClaim, Verdict])[] }
  /** Leases that no longer serve. */
  | { readonly do: "sweep reservations"; readonly uids: readonly string[] }
  | { readonly do: "let pool go" };

/** How long an address may be without its claim: tools that move or restore may bring the claim later. */
const aloneMs = 600_000;

export function planMetal3(seen: Metal3Seen, now: number): Plan<Metal3Action> {
  const { pool } = seen;
  if ((pool && isPaused(pool)) || seen.cluster === "paused") return { actions: [], conditions: [] }; // P3
  const round = new Round(seen, now);
  round.serveAll();
  return round.plan();
}

class Round {
  readonly #seen: Metal3Seen;
  readonly #now: number;
  readonly #ranges: Metal3Ranges | undefined;
  readonly #free: FreePick | undefined;
  readonly #byClaim = new Map<string, SeenAddress[]>();
  readonly #holders = new Map<string, SeenAddress>();
  readonly #reserved: ReadonlyMap<string, readonly Reservation[]>;
  /** Of claims whose IPAddress somebody tore away, by uid: what they were told, which is still in use (P6). */
  readonly #torn = new Map<string, Address>();
  /** How many IPAddresses bear an address. */
  readonly #bearers = new Map<string, number>();
  readonly #protect: SeenClaim[] = [];
  readonly #adopt: (readonly [SeenClaim, SeenAddress])[] = [];
  readonly #release: SeenAddress[] = [];
  readonly #letGo: Leaving[] = [];
  readonly #give: Grant[] = [];
  readonly #tell: (readonly [SeenClaim, Verdict])[] = [];
  #after: number | undefined;

  constructor(seen: Metal3Seen, now: number) {
    this.#seen = seen;
    this.#now = now;
    const { pool, addresses } = seen;
    this.#reserved = byClaim(seen.reservations);
    for (const address of addresses) {
      const of = claimText(address.flavour, address.claim);
      this.#byClaim.set(of, [...(this.#byClaim.get(of) ?? []), address]);
      if (address.address) this.#holders.set(formatAddress(address.address), address);
      const text = address.object.spec.address;
      this.#bearers.set(text, (this.#bearers.get(text) ?? 0) + 1);
    }
    if (!pool) return;
    this.#ranges = rangesOf(pool);
    for (const claim of seen.claims) {
      const told = toldName(claim.flavour, claim.object);
      const address = told === undefined ? undefined : namedAddress(pool.spec.namePrefix, told);
      if (address && !isDeleting(claim.object) && this.#heldBy(claim).length === 0)
        this.#torn.set(claim.object.metadata.uid, address);
    }
    this.#free = freeOf(seen, this.#ranges, [...this.#torn.values()]);
  }

  serveAll(): void {
    for (const claim of this.#seen.claims) {
      if (claim.cluster === "paused") continue; // P3
      if (isDeleting(claim.object)) this.#takeBack(claim);
      else if (claim.cluster !== "missing" && this.#seen.cluster !== "missing") this.#serve(claim);
    }
    for (const address of this.#seen.addresses) this.#mindOrphan(address);
  }

  plan(): Plan<Metal3Action> {
    const { pool } = this.#seen;
    const actions: Metal3Action[] = [];
    const some = (list: readonly unknown[], action: Metal3Action) => list.length > 0 && actions.push(action);
    if (pool && !isDeleting(pool) && !isMarked(this.#seen)) actions.push({ do: "mark pool" });
    const stale = this.#stale();
    some(stale, { do: "sweep reservations", uids: stale });
    some(this.#protect, { do: "protect claims", claims: this.#protect });
    some(this.#release, { do: "release addresses", addresses: this.#release });
    some(this.#letGo, { do: "let claims go", leaving: this.#letGo });
    some(this.#tell, { do: "tell claims", verdicts: this.#tell });
    some(this.#give, { do: "give addresses", grants: this.#give });
    some(this.#adopt, { do: "adopt addresses", pairs: this.#adopt }); // last: one that cannot be taken up holds up no others
    const going = new Set([...this.#release, ...this.#letGo.flatMap(({ addresses }) => addresses)]);
    const isUnused = this.#seen.addresses.every((each) => going.has(each));
    if (pool && isDeleting(pool) && isUnused && hasFinalizer(pool, poolFinalizer))
      actions.push({ do: "let pool go" });
    return { actions, conditions: [], ...(this.#after === undefined ? {} : { after: this.#after }) };
  }

  #takeBack(claim: SeenClaim): void {
    const { claimFinalizer } = flavours[claim.flavour];
    if (!hasFinalizer(claim.object, claimFinalizer)) return;
    if (claim.object.metadata.finalizers?.some((each) => each !== claimFinalizer)) return; // P4
    this.#letGo.push({ claim, addresses: this.#heldBy(claim) });
  }

  #serve(claim: SeenClaim): void {
    const [held, ...others] = this.#heldBy(claim);
    if (held) return this.#hold(claim, [held, ...others]);
    const { key, pool } = this.#seen;
    const ranges = this.#ranges;
    if (!pool || !ranges) return this.#wait(claim, "PoolNotReady", `${poolText(key)} does not exist`);
    if (isDeleting(pool)) return this.#wait(claim, "PoolNotReady", `${poolText(key)} is being deleted`);
    if (ranges.kind === "wrong") {
      const mistakes = ranges.problems.map(({ field, message }) => `${field} ${message}`).join("; ");
      return this.#wait(claim, "PoolNotReady", `${poolText(key)} cannot be used: ${mistakes}`);
    }
    if (!hasFinalizer(claim.object, flavours[claim.flavour].claimFinalizer)) this.#protect.push(claim); // P1
    const choice = this.#choose(claim, ranges);
    if ("reason" in choice) return this.#wait(claim, choice.reason, choice.message);
    const { address, fixed } = choice;
    const range = rangeOf(ranges.ranges, address);
    if (range) this.#give.push({ claim, address, range, fixed });
  }

  #choose(claim: SeenClaim, ranges: Metal3Ranges & { kind: "ranges" }): Choice {
    const { key } = this.#seen;
    const { name, uid } = claim.object.metadata;
    const kept = ranges.kept.get(name);
    const wants = claim.wants === undefined ? undefined : parseAddress(claim.wants);
    if (claim.wants !== undefined && !wants)
      return failed(`annotation ipAddress: ${JSON.stringify(claim.wants)} is not a valid IP address`);
    if (wants && kept && formatAddress(wants) !== formatAddress(kept))
      return failed(
        `annotation ipAddress asks for ${formatAddress(wants)}, but ${poolText(key)} keeps ${formatAddress(kept)} for ${name}; remove one`,
      );
    const fixed = kept ?? wants;
    if (fixed) return this.#fixed(claim, ranges, fixed, kept !== undefined);
    const mayBeGiven = (each: Address) => isAllocatable(ranges.ranges, each) && !this.#holder(each);
    const before = firstReserved(this.#reserved.get(uid), mayBeGiven);
    if (before) return { address: before, fixed: false }; // P5: a round that died goes on with the same address
    const torn = this.#torn.get(uid);
    const isReserved = torn && this.#seen.reservations.some(({ digits }) => digits === digitsOf(torn.value));
    if (torn && !isReserved && mayBeGiven(torn)) return { address: torn, fixed: false }; // P6
    const address = this.#free?.take();
    if (address) return { address, fixed: false };
    const { addresses, avoided } = this.#seen;
    for (const { until } of avoided) this.#comeBack(until - this.#now);
    const left =
      avoided.length > 0 ? `, ${avoided.length} are left out, since something on the network has them` : "";
    return {
      reason: "PoolExhausted",
      message: `${poolText(key)} has no free address, ${addresses.length} are in use${left}; add to its spec.pools`,
    };
  }

  #fixed(
    claim: SeenClaim,
    { ranges, kept }: Metal3Ranges & { kind: "ranges" },
    address: Address,
    isKept: boolean,
  ): Choice {
    const text = formatAddress(address);
    const pool = poolText(this.#seen.key);
    const keeper = [...kept].find(([, each]) => formatAddress(each) === text)?.[0];
    if (!isKept && keeper !== undefined) return failed(`${pool} keeps ${text} for claim ${keeper}`);
    if (!isKept && !rangeOf(ranges, address)) return failed(`${text} is out of bounds of ${pool}`);
    if (!isKept && !isAllocatable(ranges, address))
      return failed(
        `${text} is a gateway, or the first or last address of its network: ${pool} does not give it out`,
      );
    const holder = this.#holder(address);
    if (holder)
      return {
        reason: "PoolExhausted",
        message: `${text} of ${pool} is in use by claim ${holder.claim}; it is given when that is deleted`,
      };
    const rival = this.#seen.reservations.find(({ digits }) => digits === digitsOf(address.value));
    const isRival = rival !== undefined && rival.claimUid !== claim.object.metadata.uid;
    const isAvoided = this.#seen.avoided.some((each) => formatAddress(each.address) === text);
    if (isRival || !(isAvoided || (this.#free?.reserve(address) ?? true))) {
      this.#comeBack(2_000);
      return { reason: "PoolExhausted", message: `${text} of ${pool} is just being given to another claim` };
    }
    return { address, fixed: true };
  }

  #hold(claim: SeenClaim, [held, ...others]: readonly [SeenAddress, ...SeenAddress[]]): void {
    const former = ownerOf(held.object, flavours[claim.flavour].claimKind);
    if (isDeleting(held.object) && former?.uid !== claim.object.metadata.uid) {
      this.#release.push(held); // left over from an earlier claim of this name
      return;
    }
    if (!hasFinalizer(claim.object, flavours[claim.flavour].claimFinalizer)) this.#protect.push(claim);
    const isNew =
      !isOwn(claim.flavour, held.object, claim.object.metadata.uid) &&
      toldName(claim.flavour, claim.object) === undefined;
    const { address } = held.object.spec;
    if (isNew && (this.#bearers.get(address) ?? 0) > 1)
      return this.#wait(
        claim,
        "AllocationFailed",
        `${address}, which its IPAddress ${held.object.metadata.name} bears, is another's too; release one of them`,
      );
    if (!isDeleting(held.object) && !isComplete(this.#seen, claim, held)) this.#adopt.push([claim, held]);
    if (!isNew) this.#say(claim, { kind: "bound", address: held }); // else when it is taken up
    for (const other of others) this.#mindSurplus(claim, other);
  }

  /** Releases what a process that slept for long made for a claim that was told of another by then. */
  #mindSurplus({ flavour, object }: SeenClaim, other: SeenAddress): void {
    if (!isSurplus(flavour, object, other.object)) return;
    const leftMs = Date.parse(other.object.metadata.creationTimestamp) + aloneMs - this.#now;
    if (leftMs <= 0) this.#release.push(other);
    else this.#comeBack(leftMs);
  }

  /** Releases what has had no claim for long; at once what was deleted. */
  #mindOrphan(address: SeenAddress): void {
    const hasClaim = this.#seen.claims.some(
      ({ flavour, object }) => flavour === address.flavour && object.metadata.name === address.claim,
    );
    if (hasClaim || isPaused(address.object)) return;
    const leftMs = isDeleting(address.object) ? 0 : address.alone + aloneMs - this.#now;
    if (leftMs <= 0) this.#release.push(address);
    else this.#comeBack(leftMs);
  }

  #wait(claim: SeenClaim, reason: WaitReason, message: string): void {
    this.#say(claim, { kind: "waiting", reason, message });
  }

  #say(claim: SeenClaim, verdict: Verdict): void {
    if (!isKnown(claim, verdict)) this.#tell.push([claim, verdict]);
  }

  #heldBy(claim: SeenClaim): readonly SeenAddress[] {
    const named = this.#byClaim.get(claimText(claim.flavour, claim.object.metadata.name)) ?? [];
    const { uid } = claim.object.metadata;
    const told = toldName(claim.flavour, claim.object);
    const rank = ({ object }: SeenAddress) =>
      isOwn(claim.flavour, object, uid) ? (object.metadata.name === told ? 2 : 1) : 0;
    // Several of one name: one came with a former claim, or too late. The one that it was told of goes first.
    return [...named].sort((a, b) => rank(b) - rank(a));
  }

  #holder(address: Address): SeenAddress | undefined {
    return this.#holders.get(formatAddress(address));
  }

  #comeBack(afterMs: number): void {
    this.#after = Math.min(this.#after ?? Infinity, afterMs);
  }

  /** Leases whose claim is gone or has an address: whoever made them died. To be looked at afresh before they go. */
  #stale(): string[] {
    const claims = new Map(this.#seen.claims.map((claim) => [claim.object.metadata.uid, claim]));
    const over = this.#seen.reservations.filter(({ claimUid }) => {
      const claim = claims.get(claimUid);
      return !claim || this.#heldBy(claim).some(({ object }) => isOwn(claim.flavour, object, claimUid));
    });
    return over.flatMap(({ lease }) => {
      const leftMs = Date.parse(lease.metadata.creationTimestamp) + staleAfterMs - this.#now;
      if (leftMs > 0) this.#comeBack(leftMs);
      return leftMs > 0 ? [] : [lease.metadata.uid];
    });
  }
}

type Choice =
  | { readonly address: Address; readonly fixed: boolean }
  | { readonly reason: WaitReason; readonly message: string };

/** A reservation lives for a moment; one this old was probably left behind. */
const staleAfterMs = 60_000;

/**
 * Whether the claim was told of another address than this one of its own: a process made it that had slept meanwhile. Nobody is told of
 * it any more. Pure.
 */
export function isSurplus(flavour: Flavour, claim: Resource, address: Resource): boolean {
  const told = toldName(flavour, claim);
  return told !== undefined && told !== address.metadata.name && isOwn(flavour, address, claim.metadata.uid);
}

function failed(message: string): { reason: WaitReason; message: string } {
  return { reason: "AllocationFailed", message };
}

function claimText(flavour: string, name: string): string {
  return `${flavour} ${name}`;
}

/** Whether the claim's status says this already. Pure. */
export function isKnown({ flavour, object }: SeenClaim, verdict: Verdict): boolean {
  if (flavour === "metal3") {
    const { address, errorMessage } = (object as Metal3IPClaim).status ?? {};
    return verdict.kind === "bound"
      ? address?.name === verdict.address.object.metadata.name && !errorMessage
      : errorMessage === verdict.message && address === undefined;
  }
  const { addressRef, conditions } = (object as IPAddressClaim).status ?? {};
  const ready = conditions?.find(({ type }) => type === "Ready");
  return verdict.kind === "bound"
    ? ready?.status === "True" && addressRef?.name === verdict.address.object.metadata.name
    : ready?.status === "False" && ready.reason === verdict.reason && ready.message === verdict.message;
}

/** Whether the address bears all that is written on one. An owner missing only because its pool is gone is not missed. */
function isComplete({ pool }: Metal3Seen, claim: SeenClaim, { object }: SeenAddress): boolean {
  return (
    hasFinalizer(object, flavours[claim.flavour].addressFinalizer) &&
    isOwnedBy(object, claim.object) &&
    (!pool || isOwnedBy(object, pool))
  );
}

function isMarked({ pool, owner }: Metal3Seen): boolean {
  if (!pool) return true;
  if (!hasFinalizer(pool, poolFinalizer)) return false;
  if (!pool.spec.clusterName) return true;
  const { labels } = pool.metadata;
  return (
    labels?.[clusterNameLabel] === pool.spec.clusterName &&
    labels[providerLabel] === provider &&
    (!owner || isOwnedBy(pool, owner))
  );
}

/** status.indexes: claim name to address. Of two claims of one name, of two kinds, Cluster API's has its kind before it. Pure. */
export function indexesOf({ addresses }: Pick<Metal3Seen, "addresses">): Record<string, string> {
  const own = addresses.filter(({ flavour }) => flavour === "metal3");
  const names = new Set(own.map(({ claim }) => claim));
  const indexes: Record<string, string> = {};
  for (const { claim, object } of own) indexes[claim] = object.spec.address;
  for (const { flavour, claim, object } of addresses)
    if (flavour === "capi")
      indexes[names.has(claim) ? `IPAddressClaim/${claim}` : claim] = object.spec.address;
  return Object.fromEntries(Object.entries(indexes).sort(([a], [b]) => (a < b ? -1 : 1)));
}

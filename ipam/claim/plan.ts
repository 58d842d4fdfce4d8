// What to do about a claim, given everything we saw. Pure.
//
//   C1. The claim bears our finalizer before anything is given to it: no address can leak.
//   C2. What is held stays held: a bound claim does not care about its pool any more, until it is deleted.
//   C3. Paused (the claim, its pool, its cluster) means: nothing is given and nothing is released.
//   C4. A cluster that cannot be found stops giving, never releasing.
//   C5. Waiting is a plan, not an error: what could bring the claim on wakes it.
//   C6. Where a lead stands for reservations: an IPAddress that we made for a claim not bound yet, and that turns out to share its
//       address with another claim's, is taken back. Without a lead nothing is taken back from a claim: another process may be binding
//       it right now, and the reservation saw to it that it is the claim's.
//   C7. A claim is let go before its IPAddress goes, which till then is only marked deleted: as long as a claim counts, its IPAddress
//       is there (reservation.ts, V5), and whoever comes late with a second one for it finds the name taken.
import {
  formatTime,
  hasFinalizer,
  isDeleting,
  ownerOf,
  type ConditionDraft,
  type OwnerReference,
  type Plan,
} from "#core";
import { ipAddressClaim, type IPAddress, type IPAddressClaim, type PoolSpec } from "#proto";
import type { Answer, Shortage } from "../allocator/index.ts";
import { wishAnnotation } from "../policy.ts";
import type { Terms } from "../terms.ts";
import { holdAddress, isPrefixPool, poolName, protectAddress, releaseAddress } from "../words.ts";
import { isHalted, isPaused, type ClaimSeen, type OrphanSeen, type Seen } from "./observe.ts";

export type ClaimAction =
  /** Our finalizer on the claim. */
  | { readonly do: "protect claim" }
  /** This address becomes the claim's: reservation, then IPAddress. */
  | { readonly do: "allocate address"; readonly value: bigint; readonly text: string }
  /** Finalizer and owners on an IPAddress that is already there (moved, restored, or made by a crashed round). */
  | { readonly do: "adopt address" }
  /** Marks the IPAddress deleted while its finalizer still holds it: the rest before it may be given out again. */
  | { readonly do: "rest address" }
  /** The IPAddress is deleted, its finalizer taken off. */
  | { readonly do: "release address" }
  /** Finalizer off an IPAddress that is marked deleted. */
  | { readonly do: "free address" }
  /** An IPAddress that should not have been made (C6). */
  | { readonly do: "take back address" }
  /** Our finalizer off the claim. */
  | { readonly do: "let claim go" };

const nothing: Plan<ClaimAction> = { actions: [], conditions: [] };

export function planClaim(seen: Seen, now: number): Plan<ClaimAction> {
  if (seen.kind === "orphan") return planOrphan(seen, now);
  if (isDeleting(seen.claim)) return planRelease(seen, now);
  if (seen.cluster === "missing" || isHalted(seen)) return nothing; // C3, C4
  const plan = seen.address ? planHeld(seen, seen.address) : planAllocation(seen); // C2
  if (hasFinalizer(seen.claim, releaseAddress)) return plan;
  return { ...plan, actions: [{ do: "protect claim" }, ...plan.actions] }; // C1
}

/** How long an address may be without its claim: tools that move or restore may bring the claim later. */
const orphanRestMs = 600_000;

/** An address whose claim was torn from it goes: at once when somebody deleted it, else after a while. */
function planOrphan({ address, since }: OrphanSeen, now: number): Plan<ClaimAction> {
  if (!hasFinalizer(address, protectAddress) || isPaused(address)) return nothing;
  const leftMs = isDeleting(address) ? 0 : since + orphanRestMs - now;
  return leftMs > 0 ? { ...nothing, after: leftMs } : doing(removal(address));
}

function planRelease(seen: ClaimSeen, now: number): Plan<ClaimAction> {
  const { claim, address, pool } = seen;
  if (isHalted(seen)) return nothing; // C3
  const held = address && isHeldBy(address, claim) ? address : undefined;
  const isProtected = held !== undefined && hasFinalizer(held, protectAddress);
  if (!hasFinalizer(claim, releaseAddress))
    return isProtected && isDeleting(held) ? doing({ do: "free address" }) : nothing; // whoever let the claim go died
  if (hasFinalizer(claim, holdAddress)) return nothing; // its VM is there still (ipam/static)
  const restMs = pool && !isDeleting(pool) && !isPrefixPool(pool) ? graceMs(pool.spec) : 0;
  const leftMs = Date.parse(claim.metadata.deletionTimestamp ?? "") + restMs - now;
  const mark = isProtected && !isDeleting(held) ? doing({ do: "rest address" }).actions : [];
  if (held && leftMs > 0) return { actions: mark, conditions: [], after: leftMs };
  const away = held ? [isProtected ? ({ do: "free address" } as const) : removal(held)] : [];
  return doing(...mark, { do: "let claim go" }, ...away); // C7
}

function removal(address: IPAddress): ClaimAction {
  return { do: isDeleting(address) ? "free address" : "release address" };
}

/** How soon to look again whether what is left over is gone. */
const leftOverMs = 1_000;

function graceMs({ addressReuseGracePeriodSeconds: seconds = 0 }: PoolSpec): number {
  return seconds * 1000;
}

function planHeld({ claim, place, sharer, isLed }: ClaimSeen, address: IPAddress): Plan<ClaimAction> {
  const { poolRef, claimRef } = address.spec;
  const wanted = claim.spec.poolRef;
  const fits =
    poolRef.apiGroup === wanted.apiGroup &&
    poolRef.kind === wanted.kind &&
    poolRef.name === wanted.name &&
    claimRef.name === claim.metadata.name;
  if (!fits) {
    const other = `${poolRef.kind} ${poolRef.name}`;
    return waiting(
      "AllocationFailed",
      `an IPAddress of this name belongs to ${other}, claim ${claimRef.name}; delete it, or use another name`,
    );
  }
  const former = claimOwner(address);
  if (isDeleting(address) && former && former.uid !== claim.metadata.uid)
    return doing({ do: "free address" }); // left over from an earlier claim of this name
  if (sharer !== "none" && !claim.status?.addressRef) {
    const isOurs = former?.uid === claim.metadata.uid;
    if (isOurs && isLed && sharer === "claim") return doing({ do: "take back address" }); // C6
    const message = `${address.spec.address} is held by another IPAddress of ${poolName(place)} as well; delete one of the two`;
    return { ...waiting("AllocationFailed", message), ...(isOurs ? { after: leftOverMs } : {}) };
  }
  return { actions: isComplete(address, claim) ? [] : [{ do: "adopt address" }], conditions: [allocated] };
}

function planAllocation({ place, pool, terms, offer }: ClaimSeen): Plan<ClaimAction> {
  const name = poolName(place);
  if (!pool || !terms) return waiting("PoolNotReady", `${name} does not exist`);
  if (isDeleting(pool)) return waiting("PoolNotReady", `${name} is being deleted`);
  if (terms.kind === "wrong") {
    const mistakes = terms.problems.map(({ field, message }) => `${field} ${message}`).join("; ");
    return waiting("PoolNotReady", `${name} cannot be used: ${mistakes}`);
  }
  if (offer?.kind !== "given") return offer ? refusal(name, terms, offer) : nothing;
  const text = terms.text(offer.value);
  return {
    actions: [{ do: "allocate address", value: offer.value, text }],
    conditions: [allocated],
  };
}

function refusal(
  name: string,
  terms: Terms,
  offer: Exclude<NonNullable<ClaimSeen["offer"]>, { kind: "given" }>,
): Plan<ClaimAction> {
  switch (offer.kind) {
    case "exhausted":
      return waiting("PoolExhausted", `${name} ${shortage(terms, offer)}; add to its ${terms.field}`);
    case "over quota": {
      const { group, held, limit } = offer;
      const message = `${group} holds ${held} of the ${limit} that ${name} allows it; release one, or raise the pool's quota`;
      return waiting("AllocationFailed", message);
    }
    case "bad wish": {
      const message = `${JSON.stringify(offer.text)} in annotation ${wishAnnotation} is no address of ${name}`;
      return waiting("AllocationFailed", message);
    }
    case "refused":
      return waiting(
        "AllocationFailed",
        `the wished-for address of annotation ${wishAnnotation} ${why(name, offer)}`,
      );
  }
}

/** What stands in the way, for people; times are left out, as a condition that changes with every look helps nobody. */
function shortage({ word }: Terms, { used, resting, reserved, setAside }: Shortage): string {
  const ways = [
    `${used} are in use`,
    ...(resting > 0 ? [`${resting} rest after use`] : []),
    ...(reserved > 0 ? [`${reserved} are reserved`] : []),
    ...(setAside > 0 ? [`${setAside} are set aside for clusters`] : []),
  ];
  return `has no free ${word}, ${ways.join(", ")}`;
}

function why(name: string, { why: reason, until }: Extract<Answer, { kind: "refused" }>): string {
  const end = until === undefined ? "" : ` until ${formatTime(until)}`;
  switch (reason) {
    case "outside":
      return `is not among those that ${name} may give out`;
    case "held":
      return "is held by another claim";
    case "resting":
      return `rests after use${end}`;
    case "reserved":
      return `is reserved for another${end}`;
    case "draining":
      return "is being drained from the pool";
    case "set aside":
      return "is set aside for a cluster";
  }
}

/** Whether releasing the claim releases this address: it is of this claim's name, and not another claim's by uid. */
export function isHeldBy(address: IPAddress, claim: IPAddressClaim): boolean {
  const owner = claimOwner(address);
  return address.spec.claimRef.name === claim.metadata.name && (!owner || owner.uid === claim.metadata.uid);
}

function claimOwner(address: IPAddress): OwnerReference | undefined {
  return ownerOf(address, ipAddressClaim);
}

/** Whether the address bears all that upstream writes on one. An owner missing only because its pool is gone is not missed. */
function isComplete(address: IPAddress, claim: IPAddressClaim): boolean {
  const { poolRef } = address.spec;
  const owner = claimOwner(address);
  const hasPool = address.metadata.ownerReferences?.some(
    (ref) =>
      ref.kind === poolRef.kind &&
      ref.name === poolRef.name &&
      ref.apiVersion.startsWith(`${poolRef.apiGroup}/`),
  );
  return (
    (hasFinalizer(address, protectAddress) || isDeleting(address)) &&
    owner?.uid === claim.metadata.uid &&
    owner.controller === true &&
    (hasPool ?? false)
  );
}

function doing(...actions: readonly ClaimAction[]): Plan<ClaimAction> {
  return { actions, conditions: [] };
}

function waiting(
  reason: "PoolNotReady" | "PoolExhausted" | "AllocationFailed",
  message: string,
): Plan<ClaimAction> {
  return { actions: [], conditions: [{ type: "Ready", status: "False", reason, message }] };
}

/** Without a message: CAPV repeats what a claim says in the conditions of its VSphereVM. */
const allocated: ConditionDraft = { type: "Ready", status: "True", reason: "AddressAllocated", message: "" };

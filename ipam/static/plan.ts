// What to do for a machine's cards or a cluster's endpoint, given everything we saw. Pure.
//
//   T1. All claims are made at once, and the object is written once, with all addresses, when the last of them has come.
//   T2. A claim keeps its address until the machine is gone: its object, and the VM as well.
//   T3. Nothing is done for a paused or unknown cluster; for an object that is being deleted nothing is begun.
//   T4. A claim on an exhausted pool moves to the next of an ordered list that has room.
import { hasFinalizer, isDeleting, keyText, type Plan } from "#core";
import { holdAddress } from "../words.ts";
import type { Candidate } from "./select.ts";
import type { Need, StaticClaim, StaticSeen, Supply } from "./observe.ts";
import { subjectKindLabel } from "./words.ts";

export interface Served {
  readonly need: Need;
  readonly supply: Supply;
}

export type StaticAction =
  | { readonly do: "make claim"; readonly need: Need; readonly from: Candidate }
  /** Marks a claim that the static-IP controller made. */
  | { readonly do: "take over claim"; readonly claim: StaticClaim }
  | { readonly do: "drop claim"; readonly claim: StaticClaim }
  | { readonly do: "give claim up"; readonly claim: StaticClaim }
  /** All addresses into the object. */
  | { readonly do: "write addresses"; readonly served: readonly Served[] }
  | { readonly do: "say"; readonly reason: string; readonly message: string };

/** How often vCenter is asked again whether a machine is gone. */
const askAgainMs = 15_000;

export function planStatic(seen: StaticSeen): Plan<StaticAction> {
  if (!seen.subject) return planRelease(seen);
  const nothing = { actions: [], conditions: [] };
  if (isDeleting(seen.subject) || seen.cluster !== "active") return nothing; // T3
  const actions: StaticAction[] = [];
  const served: Served[] = [];
  for (const need of seen.needs) {
    const claim = seen.claims.get(need.claimName);
    const next = claim ? planClaimed(seen, need, claim) : planUnclaimed(seen, need);
    actions.push(...next);
    if (claim?.isOurs && claim.supply && !isDeleting(claim.object))
      served.push({ need, supply: claim.supply });
  }
  const tooLong = served.map(({ supply }) => cidr(supply)).find((text) => text.length > 39);
  if (tooLong)
    actions.push({
      do: "say",
      reason: "AddressTooLong",
      message: `${tooLong} does not fit into ipAddrs, which takes 39 characters; use an IPv6 range with a run of zeros`,
    });
  else if (served.length > 0 && served.length === seen.needs.length)
    actions.push({ do: "write addresses", served }); // T1
  return { actions, conditions: [] };
}

function planUnclaimed(seen: StaticSeen, need: Need): StaticAction[] {
  const selection = seen.selections.get(need.index);
  if (!selection) return [];
  if (selection.kind === "none") return [{ do: "say", reason: "NoPool", message: selection.message }];
  return [{ do: "make claim", need, from: selection.candidate }];
}

function planClaimed(seen: StaticSeen, need: Need, claim: StaticClaim): StaticAction[] {
  const { object } = claim;
  if (!claim.isOurs) {
    const message = `claim ${keyText(claim.key)} is another's; delete it, or give it another name`;
    return [{ do: "say", reason: "ClaimNameTaken", message }];
  }
  if (isDeleting(object)) return [];
  const isMarked = object.metadata.labels?.[subjectKindLabel] !== undefined;
  const isHeld = seen.kind === "endpoint" || hasFinalizer(object, holdAddress);
  if (!isMarked || !isHeld) return [{ do: "take over claim", claim }];
  if (claim.supply || !claim.isExhausted || need.wish.pools.length < 2) return [];
  const selection = seen.selections.get(need.index);
  if (selection?.kind !== "pool" || selection.candidate.free === 0n) return [];
  const { pointer } = selection.candidate.pool;
  const isOther = keyText(pointer) !== keyText(claim.pool);
  return isOther
    ? [
        { do: "drop claim", claim },
        { do: "give claim up", claim },
      ]
    : []; // T4; made anew when it is gone
}

/** T2. */
function planRelease({ claims, vm, key, kind }: StaticSeen): Plan<StaticAction> {
  const all = [...claims.values()];
  const actions: StaticAction[] = [
    ...all.filter(({ object }) => !isDeleting(object)).map((claim) => ({ do: "drop claim" as const, claim })),
    ...(vm === "gone" ? all.map((claim) => ({ do: "give claim up" as const, claim })) : []),
  ];
  const waits = vm !== "gone" && all.length > 0 && kind === "machine";
  if (waits && vm === "there")
    actions.push({
      do: "say",
      reason: "MachineStillThere",
      message: `VSphereMachine ${keyText(key)} is gone, but its VM or one with its address is there: the address is kept until it goes`,
    });
  return { actions, conditions: [], ...(waits ? { after: askAgainMs } : {}) };
}

/** "10.0.0.5/24". */
export function cidr({ address, prefix }: Supply): string {
  return `${address}/${prefix ?? (address.includes(":") ? 128 : 32)}`;
}

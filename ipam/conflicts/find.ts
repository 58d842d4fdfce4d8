// What could give one address to two machines, or has done so. Pure.
//
//   O1. Pools of one scope share one network; the scope is an annotation, and all pools without it are in one. Pools of two scopes
//       (VRFs, isolated sites) may overlap.
import { keyText, type Problem } from "#core";
import { formatAddress, parseAddress } from "../address.ts";
import {
  consumerOf,
  addressOfClaim,
  overlapsOf,
  pointerText,
  type Inventory,
  type KnownPool,
} from "../inventory/index.ts";

/** On a pool: the network that its addresses are in. */
export const scopeAnnotation = "ipam.pcg.dev/scope";
/** On a pool: what is done about an overlap with others: "allow", "warn" (unless told) or "deny". */
export const overlapAnnotation = "ipam.pcg.dev/overlap";

/** A VM with the addresses that its guest reports to vCenter. */
export interface GuestAddress {
  readonly vm: string;
  readonly addresses: readonly string[];
}

export interface Conflict {
  readonly reason: "PoolsOverlap" | "DuplicateAddress" | "AddressInUseByVM";
  /** What it is about: a pool or an IPAddress. */
  readonly about: KnownPool["object"];
  readonly message: string;
}

export function scopeOf({ object }: KnownPool): string {
  return object.metadata.annotations?.[scopeAnnotation] ?? "";
}

/** All conflicts of a moment. `guests` where vCenter was asked. */
export function findConflicts(inventory: Inventory, guests: readonly GuestAddress[] = []): Conflict[] {
  return [...overlaps(inventory), ...duplicates(inventory), ...foreignUse(inventory, guests)];
}

/** Each pair once, told of the younger pool. */
function overlaps({ pools }: Inventory): Conflict[] {
  const inOrder = [...pools].sort((a, b) => (bornText(a) < bornText(b) ? -1 : 1));
  return inOrder.flatMap((pool, index) => {
    if (policyOf(pool) === "allow") return [];
    const elders = inOrder
      .slice(0, index)
      .filter((other) => scopeOf(other) === scopeOf(pool) && policyOf(other) !== "allow");
    return overlapsOf(pool, elders).map(({ pool: other, ranges }) => ({
      reason: "PoolsOverlap" as const,
      about: pool.object,
      message: overlapText(pool, pointerText(other), ranges),
    }));
  });
}

function overlapText(pool: KnownPool, other: string, ranges: readonly string[]): string {
  const shown = ranges.slice(0, 5).join(", ") + (ranges.length > 5 ? ", ..." : "");
  return `${pointerText(pool.pointer)} and ${other} both give out ${shown}; make them distinct, or name their networks by ${scopeAnnotation}`;
}

function policyOf({ object }: KnownPool): string {
  return object.metadata.annotations?.[overlapAnnotation] ?? "warn";
}

function bornText({ object, pointer }: KnownPool): string {
  return `${object.metadata.creationTimestamp} ${pointerText(pointer)}`;
}

/** What admission says of a pool's overlaps: refused where the pool, or one that it overlaps, says "deny"; else a warning. */
export function overlapVerdict(
  after: KnownPool,
  { pools }: Inventory,
): { readonly problems: readonly Problem[]; readonly warnings: readonly string[] } {
  const name = pointerText(after.pointer);
  const others = pools.filter(
    (each) => pointerText(each.pointer) !== name && scopeOf(each) === scopeOf(after),
  );
  const found =
    policyOf(after) === "allow"
      ? []
      : overlapsOf(
          after,
          others.filter((each) => policyOf(each) !== "allow"),
        );
  const denying = new Set(
    others.filter((each) => policyOf(each) === "deny").map(({ pointer }) => pointerText(pointer)),
  );
  const isDenied = (other: string) => policyOf(after) === "deny" || denying.has(other);
  const texts = found.map(({ pool, ranges }) => ({
    denied: isDenied(pointerText(pool)),
    message: overlapText(after, pointerText(pool), ranges),
  }));
  const field = after.pointer.kind === "IPPool" ? "spec.pools" : "spec.addresses";
  return {
    problems: texts.filter(({ denied }) => denied).map(({ message }) => ({ field, message })),
    warnings: texts.filter(({ denied }) => !denied).map(({ message }) => message),
  };
}

/** Told of every IPAddress but the eldest: nothing is deleted, somebody has to decide. */
function duplicates({ addresses, pools }: Inventory): Conflict[] {
  const scopes = new Map(pools.map((pool) => [pointerText(pool.pointer), scopeOf(pool)]));
  const bearers = new Map<string, Inventory["addresses"][number][]>();
  for (const each of addresses) {
    if (!each.address) continue;
    const place = `${scopes.get(pointerText(each.pool)) ?? ""} ${formatAddress(each.address)}`;
    bearers.set(place, [...(bearers.get(place) ?? []), each]);
  }
  return [...bearers.values()].flatMap((list) => {
    const [eldest, ...others] = list.sort((a, b) =>
      a.object.metadata.creationTimestamp < b.object.metadata.creationTimestamp ? -1 : 1,
    );
    return others.map((each) => ({
      reason: "DuplicateAddress" as const,
      about: each.object,
      message:
        `${each.object.spec.address} is given twice: to claim ${keyText({ ...each.key, name: each.claim })} and, before, to ` +
        `${keyText({ ...eldest!.key, name: eldest!.claim })}; release the one whose machine does not run`,
    }));
  });
}

/** A VM reports an address of a pool that nobody was given, or that another machine was given. */
function foreignUse(inventory: Inventory, guests: readonly GuestAddress[]): Conflict[] {
  const holders = new Map(
    inventory.addresses.flatMap((each) =>
      each.address ? [[formatAddress(each.address), each] as const] : [],
    ),
  );
  const claimOf = new Map(
    inventory.claims.flatMap((claim) => {
      const address = addressOfClaim(inventory, claim);
      return address ? [[address, claim] as const] : [];
    }),
  );
  return guests.flatMap(({ vm, addresses }) =>
    addresses.flatMap((text): Conflict[] => {
      const held = holders.get(text);
      if (held) {
        const consumer = claimOf.get(held) && consumerOf(claimOf.get(held)!);
        const isOther = consumer?.startsWith("VSphereVM ") && consumer.split("/").at(-1) !== vm;
        if (!isOther) return [];
        const message = `VM ${vm} uses ${text}, which was given to ${consumer}`;
        return [{ reason: "AddressInUseByVM", about: held.object, message }];
      }
      const parsed = parseAddress(text);
      const pool = parsed && inventory.pools.find((each) => each.gives(parsed));
      if (!pool) return [];
      const message =
        `VM ${vm} uses ${text} of ${pointerText(pool.pointer)}, which nobody was given: exclude it, or import it ` +
        `(pcg ip import)`;
      return [{ reason: "AddressInUseByVM", about: pool.object, message }];
    }),
  );
}

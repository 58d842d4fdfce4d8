// Which claim may be given an address: a Lease whose name follows from pool and address alone, so that there is one at a time. It
// lives from before the IPAddress is created until just after. The argument from these rules: README.md, "Why an address is never
// given twice". A claim counts from when it bears our finalizer until that is taken off (claim/counts.ts).
//
//   V1. Whoever creates an IPAddress, or makes one that is there another claim's, has won the reservation of its address for that
//       claim, then looked at all IPAddresses of the pool, and no other bore the address.
//   V2. A reservation goes only when its claim has an IPAddress of its own (by uid), or counts no more. Both are for good: whoever saw
//       it may remove the reservation, however late.
//   V3. The name depends on the pool's uid and the address's bits, never on how anybody writes them.
//   V4. A reservation is a claim's, by uid, not a process's: after a crash whoever works on the claim goes on with the same address.
//   V5. The IPAddress of a claim that counts is there until the claim counts no more.
//   V6. An IPAddress made for a claim that counts no more goes at once: its maker looks at the claim after making it, and who lets a
//       claim go looks for such an IPAddress afterwards. Until then it may bear the address of a claim that counts; no claim names it.
import {
  Fault,
  isFault,
  keyText,
  leases,
  listAll,
  matchLabels,
  type Key,
  type Lease,
  type Resource,
  type ResourceStore,
} from "#core";
import { namespace } from "#proto";

/** Where a pool of any kind is: without a namespace when it is cluster-scoped. */
interface PoolPlace {
  readonly key: Key;
}

export interface Reservation {
  readonly lease: Lease;
  readonly claimUid: string;
  /** The claim, for a fresh look. */
  readonly claim: Required<Key>;
  /** The address as 32 hex digits. */
  readonly digits: string;
}

export type Try =
  | { readonly kind: "won"; readonly lease: Lease }
  /** It is another claim's; `by` is undefined where that has just ended. */
  | { readonly kind: "reserved"; readonly by: Reservation | undefined };

const poolLabel = "ipam.pcg.dev/pool-uid";
const claimLabel = "ipam.pcg.dev/claim-uid";

export class Reservations {
  readonly #store: ResourceStore;
  readonly #globalNamespace: string;
  readonly #isOver: (reservation: Reservation) => Promise<boolean>;
  /** What this process won and has not removed, by the claim's key. */
  readonly #won = new Map<string, Lease[]>();

  /**
   * Reservations of cluster-scoped pools lie in `globalNamespace`; all who compete must agree on it. `isOver` tells whether a
   * reservation may go (V2), by what was written.
   */
  constructor(
    store: ResourceStore,
    globalNamespace: string,
    isOver: (reservation: Reservation) => Promise<boolean>,
  ) {
    this.#store = store;
    this.#globalNamespace = globalNamespace;
    this.#isOver = isOver;
  }

  /** Reserves the address for the claim, also where it is reserved for it already. */
  async win(place: PoolPlace, pool: Resource, claim: Resource, value: bigint): Promise<Try> {
    const inNamespace = this.#namespace(place);
    const name = reservationName(pool, value);
    const { namespace: claimNamespace = "", name: claimName, uid } = claim.metadata;
    const create = () =>
      this.#store.create(leases, {
        metadata: {
          namespace: inNamespace,
          name,
          labels: { [poolLabel]: pool.metadata.uid, [claimLabel]: uid },
        },
        spec: { holderIdentity: keyText({ namespace: claimNamespace, name: claimName }) },
      });
    const won = (lease: Lease): Try => {
      this.#remember(lease);
      return { kind: "won", lease };
    };
    try {
      return won(
        await create().catch(async (error: unknown) => {
          if (place.key.namespace !== undefined || !isFault(error, "NotFound")) throw error;
          await this.#makeGlobalNamespace();
          return create();
        }),
      );
    } catch (error) {
      if (!isFault(error, "AlreadyExists")) throw error;
    }
    const lease = await this.#store.get(leases, { namespace: inNamespace, name });
    const by = lease && reservationOf(lease);
    if (by?.claimUid === uid) return won(by.lease); // V4
    if (!by || !(await this.#isOver(by))) return { kind: "reserved", by };
    await this.remove(by.lease); // left over: whoever should have removed it died
    try {
      return won(await create());
    } catch (error) {
      if (!isFault(error, "AlreadyExists")) throw error;
      return { kind: "reserved", by: undefined };
    }
  }

  /** Removes what this process won for the claim. Only where V2 allows it. */
  async settle(claim: Resource): Promise<void> {
    const { namespace: inNamespace = "", name, uid } = claim.metadata;
    const won = this.#won.get(keyText({ namespace: inNamespace, name })) ?? [];
    for (const lease of won.filter(({ metadata }) => metadata.labels?.[claimLabel] === uid))
      await this.remove(lease);
  }

  /** The claim of this key is gone: what this process won for it goes too. Others' is swept by its pool's controller. */
  async forget(claim: Key): Promise<void> {
    const won = this.#won.get(keyText(claim)) ?? [];
    this.#won.delete(keyText(claim));
    for (const lease of won) if (await this.#isOver(reservationOf(lease))) await this.remove(lease);
  }

  /** Whether a reservation may go (V2). */
  isOver(reservation: Reservation): Promise<boolean> {
    return this.#isOver(reservation);
  }

  /** All reservations of a pool. */
  async of(place: PoolPlace, pool: Resource, signal?: AbortSignal): Promise<readonly Reservation[]> {
    const options = {
      namespace: this.#namespace(place),
      labels: matchLabels({ [poolLabel]: pool.metadata.uid }),
    };
    const { items } = await listAll(this.#store, leases, options, signal);
    return items.map(reservationOf);
  }

  /** Removes exactly this one. Gone or replaced already: nothing happens. */
  async remove(lease: Lease): Promise<void> {
    const { name, namespace: inNamespace = "", uid } = lease.metadata;
    this.#remember(lease, false);
    await this.#store.delete(leases, { namespace: inNamespace, name }, { uid }).catch((error: unknown) => {
      if (!isFault(error, "NotFound", "Conflict")) throw Fault.from(error);
    });
  }

  #remember(lease: Lease, isThere = true): void {
    const claim = lease.spec.holderIdentity ?? "";
    const others = (this.#won.get(claim) ?? []).filter(({ metadata }) => metadata.uid !== lease.metadata.uid);
    const now = isThere ? [...others, lease] : others;
    if (now.length > 0) this.#won.set(claim, now);
    else this.#won.delete(claim);
  }

  /** Kubernetes always has kube-system; a store of ours may not. */
  async #makeGlobalNamespace(): Promise<void> {
    await this.#store
      .create(namespace, { metadata: { name: this.#globalNamespace } })
      .catch((error: unknown) => {
        if (!isFault(error, "AlreadyExists")) throw error;
      });
  }

  #namespace({ key }: PoolPlace): string {
    return key.namespace ?? this.#globalNamespace;
  }
}

/** V3: "ip-<pool uid>-<32 hex digits>". Pure. */
export function reservationName(pool: Resource, value: bigint): string {
  return `ip-${pool.metadata.uid.toLowerCase()}-${digitsOf(value)}`;
}

/** 32 hex digits: both families, and prefixes, whatever their text. Pure. */
export function digitsOf(value: bigint): string {
  return value.toString(16).padStart(32, "0");
}

function reservationOf(lease: Lease): Reservation {
  const holder = lease.spec.holderIdentity ?? "";
  return {
    lease,
    claimUid: lease.metadata.labels?.[claimLabel] ?? "",
    claim: { namespace: holder.slice(0, holder.indexOf("/")), name: holder.slice(holder.indexOf("/") + 1) },
    digits: lease.metadata.name.slice(-32),
  };
}

// Who may create the IPAddress for an address: a Lease whose name follows from pool and address alone, so that of any number of
// processes only one can create it. It lives from before the IPAddress is created until just after.
//
//   V1. Whoever creates an IPAddress holds the reservation, and has looked at all IPAddresses of the pool after winning it.
//   V2. A reservation goes only when an IPAddress bears the address, or its claim has an IPAddress or is gone (by uid). With V1: the
//       next who wins it sees that IPAddress.
//   V3. The name depends on the pool's uid and the address's bits, never on how anybody writes them.
//   V4. A reservation belongs to a claim by uid: after a crash whoever works on that claim goes on with the same address.
//   V5. An IPAddress made for a claim that was released meanwhile goes at once: its maker looks at the claim after making it, and who
//       releases a claim looks for such an IPAddress after releasing it. Until then it may bear the address of a living claim's; no
//       claim names it.
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
import { ipAddressClaim, namespace } from "#proto";

/** Where a pool of any kind is: without a namespace when it is cluster-scoped. */
interface PoolPlace {
  readonly key: Key;
}

export interface Reservation {
  readonly lease: Lease;
  readonly claimUid: string;
  /** The claim, for a fresh look. */
  readonly claim: { readonly namespace: string; readonly name: string };
  /** The address as 32 hex digits. */
  readonly digits: string;
}

const poolLabel = "ipam.pcg.dev/pool-uid";
const claimLabel = "ipam.pcg.dev/claim-uid";

export class Reservations {
  readonly #store: ResourceStore;
  readonly #globalNamespace: string;

  /** Reservations of cluster-scoped pools lie in `globalNamespace`; all who compete must agree on it. */
  constructor(store: ResourceStore, globalNamespace: string) {
    this.#store = store;
    this.#globalNamespace = globalNamespace;
  }

  /** Holds the address for the claim, also where it held it already. Undefined: it is held for another. */
  async win(place: PoolPlace, pool: Resource, claim: Resource, value: bigint): Promise<Lease | undefined> {
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
    try {
      return await create().catch(async (error: unknown) => {
        if (place.key.namespace !== undefined || !isFault(error, "NotFound")) throw error;
        await this.#makeGlobalNamespace();
        return create();
      });
    } catch (error) {
      if (!isFault(error, "AlreadyExists")) throw error;
      const lease = await this.#store.get(leases, { namespace: inNamespace, name });
      if (lease?.metadata.labels?.[claimLabel] === uid) return lease; // V4
      // Whoever let that claim go died before it removed this.
      if (!lease || !(await this.#isLeft(lease))) return undefined;
      await this.remove(lease);
      return create().catch((again: unknown) => {
        if (!isFault(again, "AlreadyExists")) throw again;
        return undefined;
      });
    }
  }

  /** Whether the claim that holds this is gone (V2). */
  async #isLeft(lease: Lease): Promise<boolean> {
    const { claim, claimUid } = reservationOf(lease);
    return (await this.#store.get(ipAddressClaim, claim))?.metadata.uid !== claimUid;
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
    await this.#store.delete(leases, { namespace: inNamespace, name }, { uid }).catch((error: unknown) => {
      if (!isFault(error, "NotFound", "Conflict")) throw Fault.from(error);
    });
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

// The algorithms of the controllers that ours stands in for, done again after their sources, with the same work per claim. For
// comparison in the same run; nothing else uses them.
import { formatAddress, parseAddress, toSet, type Interval } from "#ipam";

/** What their caches hold of an IPAddress. */
interface Stored {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly finalizers: string[] };
  readonly spec: {
    readonly address: string;
    readonly prefix: number;
    readonly poolRef: { readonly name: string };
  };
}

function stored(name: string, address: string): Stored {
  return {
    metadata: { namespace: "c", name, finalizers: ["ipam.cluster.x-k8s.io/ProtectAddress"] },
    spec: { address, prefix: 16, poolRef: { name: "nodes" } },
  };
}

/**
 * In-cluster provider: for every claim it lists the pool's IPAddresses (copies), makes a set of each and merges them, makes the set of
 * the pool's text, and walks from its first address, with a binary search in the used ranges at each step.
 */
export class InClusterAlgorithm {
  readonly #objects: Stored[] = [];

  allocate(name: string): string | undefined {
    const listed = this.#objects.map((object) => structuredClone(object));
    const used = toSet(
      listed.flatMap(({ spec }) => {
        const value = parseAddress(spec.address)?.value;
        return value === undefined ? [] : [{ low: value, high: value }];
      }),
    );
    const low = parseAddress("10.0.0.2")?.value ?? 0n;
    const high = parseAddress("10.0.255.254")?.value ?? 0n;
    for (let at = low; at <= high; at++) {
      if (holds(used, at)) continue;
      const address = formatAddress({ family: 4, value: at });
      this.#objects.push(stored(name, address));
      return address;
    }
    return undefined;
  }

  /** As if so many claims had been served. */
  fill(count: number): void {
    const low = parseAddress("10.0.0.2")?.value ?? 0n;
    for (let at = this.#objects.length; at < count; at++)
      this.#objects.push(stored(`claim-${at}`, formatAddress({ family: 4, value: low + BigInt(at) })));
  }
}

function holds(set: readonly Interval[], value: bigint): boolean {
  let [from, to] = [0, set.length - 1];
  while (from <= to) {
    const middle = (from + to) >> 1;
    const interval = set[middle] as Interval;
    if (value < interval.low) to = middle - 1;
    else if (value > interval.high) from = middle + 1;
    else return true;
  }
  return false;
}

/**
 * Metal3's: it rebuilds the map of what is used from all IPAddresses of the namespace, twice in a round, then walks indexes from 0,
 * reading the pool's text anew for each, with a look into the map.
 */
export class Metal3Algorithm {
  readonly #objects: Stored[] = [];

  allocate(name: string): string | undefined {
    this.#indexes();
    const used = this.#indexes();
    for (let index = 1; ; index++) {
      const start = parseAddress("10.0.0.0")?.value ?? 0n;
      const end = parseAddress("10.0.255.255")?.value ?? 0n;
      const value = start + BigInt(index);
      if (value > end) return undefined;
      const address = formatAddress({ family: 4, value });
      if (used.has(address)) continue;
      this.#objects.push(stored(name, address));
      return address;
    }
  }

  fill(count: number): void {
    const low = parseAddress("10.0.0.1")?.value ?? 0n;
    for (let at = this.#objects.length; at < count; at++)
      this.#objects.push(stored(`claim-${at}`, formatAddress({ family: 4, value: low + BigInt(at) })));
  }

  #indexes(): Map<string, string> {
    const used = new Map<string, string>();
    for (const object of this.#objects)
      if (object.spec.poolRef.name === "nodes")
        used.set(object.spec.address, structuredClone(object).metadata.name);
    return used;
  }
}

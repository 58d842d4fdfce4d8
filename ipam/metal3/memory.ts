// What one process remembers of a pool between rounds. Losing it costs fairness within a second, and ten minutes' patience; nothing else.
import { keyText, type Key, type Resource } from "#core";
import { formatAddress, type Address } from "../address.ts";

/** An address that something on the network uses, although nobody was given it. */
export interface Avoided {
  readonly address: Address;
  /** Milliseconds since 1970. */
  readonly until: number;
}

export class PoolMemory {
  #turns = new Map<string, number>();
  #next = 0;
  #alone = new Map<string, number>();
  #avoided = new Map<string, Avoided>();
  #seed: number | undefined;

  /** Claims in the order in which they came: by the second of creation, then as this process first saw them. */
  inTurn<C extends { readonly object: Resource }>(claims: readonly C[]): C[] {
    const turns = new Map<string, number>();
    for (const { object } of claims) {
      const { uid } = object.metadata;
      turns.set(uid, this.#turns.get(uid) ?? this.#next++);
    }
    this.#turns = turns;
    const turn = ({ object }: C) => turns.get(object.metadata.uid) ?? 0;
    return [...claims].sort((a, b) => {
      const [first, second] = [a.object.metadata.creationTimestamp, b.object.metadata.creationTimestamp];
      return first === second ? turn(a) - turn(b) : first < second ? -1 : 1;
    });
  }

  /** Since when each of these addresses has been seen without its claim; the others are forgotten. */
  aloneSince(uids: readonly string[], now: number): ReadonlyMap<string, number> {
    this.#alone = new Map(uids.map((uid) => [uid, this.#alone.get(uid) ?? now]));
    return this.#alone;
  }

  avoid(address: Address, until: number): void {
    this.#avoided.set(formatAddress(address), { address, until });
  }

  avoided(now: number): readonly Avoided[] {
    for (const [text, { until }] of this.#avoided) if (until <= now) this.#avoided.delete(text);
    return [...this.#avoided.values()];
  }

  /** What chance decides by: the same until something was given, so that what comes next can be looked at ahead. */
  seed(random: () => number): number {
    return (this.#seed ??= Math.floor(random() * 2 ** 32));
  }

  drawAnew(): void {
    this.#seed = undefined;
  }
}

/** The memories of all pools that one process serves. */
export class PoolMemories {
  readonly #memories = new Map<string, PoolMemory>();

  of(key: Key): PoolMemory {
    const text = keyText(key);
    const memory = this.#memories.get(text) ?? new PoolMemory();
    this.#memories.set(text, memory);
    return memory;
  }

  forget(key: Key): void {
    this.#memories.delete(keyText(key));
  }
}

// What one process remembers of a pool between rounds. Losing it costs fairness within a second, and ten minutes' patience; nothing else.
import type { Resource } from "#core";

export class PoolMemory {
  #turns = new Map<string, number>();
  #next = 0;
  #alone = new Map<string, number>();

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
}

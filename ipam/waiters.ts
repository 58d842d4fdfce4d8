import { keyText, parseKey, type Key } from "#core";

/**
 * Claims that are not at rest, by what could bring them on: their pool, their cluster. Only for waking them; what they need is
 * decided afresh in each round. In the order in which they began to wait, so that the first is woken first.
 */
export class Waiters {
  readonly #places = new Map<string, readonly string[]>();
  readonly #waiting = new Map<string, Set<string>>();

  /** The claim waits for these; what it waited for before no longer counts. It keeps its turn where it waits on. */
  note(claim: Key, places: readonly string[]): void {
    const key = keyText(claim);
    for (const old of this.#places.get(key) ?? []) if (!places.includes(old)) this.#leave(key, old);
    for (const place of places) {
      const waiting = this.#waiting.get(place) ?? new Set();
      this.#waiting.set(place, waiting.add(key));
    }
    if (places.length > 0) this.#places.set(key, places);
    else this.#places.delete(key);
  }

  /** The claim waits for nothing any more. */
  drop(claim: Key): void {
    this.note(claim, []);
  }

  at(place: string): Key[] {
    return [...(this.#waiting.get(place) ?? [])].map(parseKey);
  }

  #leave(key: string, place: string): void {
    const waiting = this.#waiting.get(place);
    waiting?.delete(key);
    if (waiting?.size === 0) this.#waiting.delete(place);
  }
}

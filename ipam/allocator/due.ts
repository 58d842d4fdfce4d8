/**
 * Things by the time at which they fall due, the earliest first; of those due at once, the one added first. A binary heap. What no
 * longer counts is the caller's to skip.
 */
export class DueQueue<T> {
  readonly #heap: Entry<T>[] = [];
  #serial = 0;

  get size(): number {
    return this.#heap.length;
  }

  add(at: number, item: T): void {
    const heap = this.#heap;
    heap.push({ at, serial: ++this.#serial, item });
    let here = heap.length - 1;
    while (here > 0) {
      const up = (here - 1) >> 1;
      if (this.#before(up, here)) break;
      this.#swap(up, here);
      here = up;
    }
  }

  /** When the earliest falls due; undefined when there is none. */
  next(): { readonly at: number; readonly item: T } | undefined {
    return this.#heap[0];
  }

  /** Takes the earliest if it is due by now. */
  take(now: number): { readonly at: number; readonly item: T } | undefined {
    const heap = this.#heap;
    const top = heap[0];
    if (!top || top.at > now) return undefined;
    const last = heap.pop() as Entry<T>;
    if (heap.length > 0) {
      heap[0] = last;
      this.#sink();
    }
    return top;
  }

  #sink(): void {
    for (let here = 0; ;) {
      const left = 2 * here + 1;
      const right = left + 1;
      let least = here;
      if (left < this.#heap.length && this.#before(left, least)) least = left;
      if (right < this.#heap.length && this.#before(right, least)) least = right;
      if (least === here) return;
      this.#swap(least, here);
      here = least;
    }
  }

  #before(a: number, b: number): boolean {
    const one = this.#heap[a] as Entry<T>;
    const other = this.#heap[b] as Entry<T>;
    return one.at !== other.at ? one.at < other.at : one.serial < other.serial;
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    [heap[a], heap[b]] = [heap[b] as Entry<T>, heap[a] as Entry<T>];
  }
}

interface Entry<T> {
  readonly at: number;
  readonly serial: number;
  readonly item: T;
}

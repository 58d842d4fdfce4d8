/** Free addresses that were in use before, the one released longest ago first. Every operation takes O(1). */
export class ReleaseOrder {
  readonly #links = new Map<bigint, Link>();
  #first: Link | undefined;
  #last: Link | undefined;

  get size(): number {
    return this.#links.size;
  }

  has(address: bigint): boolean {
    return this.#links.has(address);
  }

  first(): bigint | undefined {
    return this.#first?.address;
  }

  /** Becomes the last of all. */
  add(address: bigint): void {
    this.remove(address);
    const link: Link = { address, before: this.#last, after: undefined };
    if (this.#last) this.#last.after = link;
    else this.#first = link;
    this.#last = link;
    this.#links.set(address, link);
  }

  remove(address: bigint): void {
    const link = this.#links.get(address);
    if (!link) return;
    this.#links.delete(address);
    if (link.before) link.before.after = link.after;
    else this.#first = link.after;
    if (link.after) link.after.before = link.before;
    else this.#last = link.before;
  }

  *[Symbol.iterator](): Generator<bigint> {
    for (let link = this.#first; link; link = link.after) yield link.address;
  }
}

interface Link {
  readonly address: bigint;
  before: Link | undefined;
  after: Link | undefined;
}

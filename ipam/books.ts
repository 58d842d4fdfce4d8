// The books of all pools of one process, kept by what the store tells.
import { isDeleting, keyOf, keyText, type Clock, type Key, type Kind, type Means } from "#core";
import { ipAddress, ipAddressClaim, type IPAddress, type IPAddressClaim } from "#proto";
import { PoolBook } from "./book.ts";
import { counts, isOwn } from "./claim/counts.ts";
import type { Outlook, PoolGauge } from "./gauges.ts";
import { poolTerms, type PoolTerms } from "./terms.ts";
import { placeOf, placeText, poolPlace, type Pool, type PoolPlace } from "./words.ts";

export class Books {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #kinds: readonly Kind<Pool>[];
  readonly #places = new Map<string, { readonly place: PoolPlace; readonly book: PoolBook }>();
  /** Which book a claim was offered something from. */
  readonly #offered = new Map<string, PoolBook>();
  readonly #terms = new WeakMap<Pool, PoolTerms>();
  /** The latest revision of an IPAddress that we have heard of; changes come in order. */
  #heard = -1n;
  #wake: (claim: Key) => void = () => {};
  #claim: (key: Key) => IPAddressClaim | undefined = () => undefined;

  constructor(deps: {
    readonly clock: Clock;
    readonly random: () => number;
    readonly kinds: readonly Kind<Pool>[];
  }) {
    this.#kinds = deps.kinds;
    this.#clock = deps.clock;
    this.#random = deps.random;
  }

  /** Follows IPAddresses and pools from now on; `wake` asks for a round of a claim. */
  begin(means: Means): void {
    this.#wake = (claim) => means.wake(claim);
    const claims = means.cache(ipAddressClaim);
    this.#claim = (key) => claims.get(key);
    means.cache(ipAddress).subscribe(({ type, object }) => this.#hear(type === "Deleted", object));
    for (const kind of this.#kinds)
      means.cache(kind).subscribe(({ type, object }) => {
        if (type !== "Deleted") this.shape(placeOf(kind, object), object);
      });
    const stop = () => this.#places.forEach(({ book }) => book.stop());
    means.signal.addEventListener("abort", stop, { once: true });
  }

  of(place: PoolPlace): PoolBook {
    const text = placeText(place);
    const found = this.#places.get(text);
    if (found) return found.book;
    const wake = (claim: Key) => this.#wake(claim);
    const book = new PoolBook({ clock: this.#clock, random: this.#random, wake });
    this.#places.set(text, { place, book });
    return book;
  }

  /** The terms of a pool, read once per version of it; its book follows them. */
  shape(place: PoolPlace, pool: Pool): PoolTerms {
    let terms = this.#terms.get(pool);
    if (!terms) this.#terms.set(pool, (terms = poolTerms(pool)));
    if (terms.kind === "terms") this.of(place).shape(pool, terms);
    return terms;
  }

  /** The claim was offered something by that pool. */
  offered(claim: Key, place: PoolPlace): void {
    this.#offered.set(keyText(claim), this.of(place));
  }

  /** Offers this very value to a claim, and asks for a round of it. */
  push(place: PoolPlace, claim: IPAddressClaim, value: bigint): void {
    const key = keyOf(claim);
    this.offered(key, place);
    if (this.of(place).offer(claim, value).kind === "given") this.#wake(key);
  }

  /** The claim's round has ended: what it was offered and did not take is free again, unless that is not certain. */
  settle(claim: Key, waits: boolean): void {
    this.#offered.get(keyText(claim))?.settle(keyText(claim), waits);
  }

  outlook(place: PoolPlace, pool: Pool): Outlook | undefined {
    return this.#places.get(placeText(place))?.book.outlook(pool);
  }

  gauges(): readonly PoolGauge[] {
    return [...this.#places.values()].map(({ place, book }) => ({
      kind: place.kind.kind,
      namespace: place.key.namespace ?? "",
      name: place.key.name,
      ...book.counts(),
    }));
  }

  /** The claim is gone, and so is its IPAddress. */
  forget(claim: Key): void {
    const text = keyText(claim);
    const book = this.#offered.get(text);
    if (!book) return;
    this.#offered.delete(text);
    book.cancel(text);
    book.settle(text, false);
  }

  /**
   * The store answered with this IPAddress. An answer that comes late is no news: what we heard meanwhile may be the IPAddress's end,
   * of which we would not hear again (D1).
   */
  answered(address: IPAddress): void {
    const revision = revisionOf(address);
    if (revision === undefined || revision > this.#heard) this.#take(false, address);
  }

  #hear(isGone: boolean, address: IPAddress): void {
    const revision = revisionOf(address);
    if (revision !== undefined && revision > this.#heard) this.#heard = revision;
    this.#take(isGone, address);
  }

  #take(isGone: boolean, address: IPAddress): void {
    const place = poolPlace(address);
    if (!place) return;
    if (!isGone) return this.of(place).see(address);
    const key = keyOf(address);
    const isTorn = this.#isTorn(key, address);
    if (isTorn) this.offered(key, place); // until the claim is gone
    this.of(place).gone(address, isTorn);
  }

  /** Whether somebody removed the IPAddress of a claim that has been told of it and goes on counting. */
  #isTorn(key: Key, address: IPAddress): boolean {
    const claim = this.#claim(key);
    if (!claim || isDeleting(claim) || !isOwn(address, claim.metadata.uid)) return false;
    return counts(claim, claim.metadata.uid) && claim.status?.addressRef?.name === address.metadata.name;
  }
}

/** Revisions of Kubernetes and of our stores are whole numbers that grow; undefined for any other. */
function revisionOf({ metadata }: IPAddress): bigint | undefined {
  return /^\d+$/.test(metadata.resourceVersion) ? BigInt(metadata.resourceVersion) : undefined;
}

// One pool's book within one process: what its IPAddresses hold, what is being given right now, and who waits. For speed and order;
// what keeps addresses unique among processes is the reservation, or the lead (docs/decisions/0029).
//
//   D1. An IPAddress counts from when we made it or heard of it, until we hear of its end.
//   D2. What was offered is offered to nobody else until its IPAddress shows or it is certain that none was made. The same for what
//       was torn from a claim that counts: it is still in use, and the claim's IPAddress is made anew as it was.
//   D3. Of those who wait the first is woken first, and no more are woken than there is to give.
import { keyOf, keyText, type CancelTimer, type Clock, type Key } from "#core";
import { clusterNameLabel, type IPAddress, type IPAddressClaim } from "#proto";
import {
  Allocator,
  DueQueue,
  type Answer,
  type Claimant,
  type Counts,
  type Shape,
} from "./allocator/index.ts";
import { poolPolicy, type Policy } from "./policy.ts";
import type { Outlook } from "./gauges.ts";
import type { Terms } from "./terms.ts";
import type { Pool } from "./words.ts";

export interface BookDeps {
  readonly clock: Clock;
  readonly random: () => number;
  /** Asks for a round of a claim. */
  readonly wake: (claim: Key) => void;
}

/** What is known of an IPAddress. */
interface Borne {
  readonly key: Key;
  readonly uid: string;
  readonly address: string;
  readonly claimant: Claimant;
}

interface Waiting {
  readonly key: Key;
  readonly since: number;
  /** Woken, and its round has not ended. */
  called: boolean;
}

export class PoolBook {
  readonly #deps: BookDeps;
  #allocator: Allocator;
  #terms: Terms | undefined;
  #version = "";
  readonly #borne = new Map<string, Borne>();
  /** Offered, and no IPAddress seen yet. "unknown": a try to make one got no answer. */
  readonly #pending = new Map<string, "offered" | "unknown">();
  readonly #waiting = new Map<string, Waiting>();
  #queue = new DueQueue<Waiting>();
  #called = 0;
  /** Waiting for something of a kind: over quota for one of their group, or for the one address they wish for. */
  readonly #limited = new Map<string, { readonly key: Key; readonly group: string }>();
  #timer: { readonly at: number; readonly cancel: CancelTimer } | undefined;

  constructor(deps: BookDeps) {
    this.#deps = deps;
    this.#allocator = new Allocator({ universe: [] }, deps.random);
  }

  /** Takes in what the pool says now; the same version again is nothing. */
  shape(pool: Pool, terms: Terms): void {
    const version = versionOf(pool);
    if (version === this.#version) return;
    this.#version = version;
    const { policy } = poolPolicy(pool, terms);
    const isOther = this.#terms?.scheme !== terms.scheme;
    this.#terms = terms;
    if (isOther) this.#startAnew(shapeOf(terms, policy));
    else this.#allocator.reshape(shapeOf(terms, policy));
    this.#keepPromises(policy);
    this.kick();
  }

  /** An IPAddress is there (D1). */
  see(address: IPAddress): void {
    const owner = ownerOf(address);
    const known = this.#borne.get(owner);
    this.#pending.delete(owner);
    if (known?.uid === address.metadata.uid && known.address === address.spec.address) return;
    const claimant: Claimant = { owner, name: owner, groups: groupsOf(address, address.metadata.labels) };
    const borne = { key: keyOf(address), uid: address.metadata.uid, address: address.spec.address, claimant };
    this.#borne.set(owner, borne);
    this.#hold(borne);
  }

  /** An IPAddress is there no more. `isTorn`: its claim goes on counting (D2). */
  gone(address: IPAddress, isTorn = false): void {
    const owner = ownerOf(address);
    if (this.#borne.get(owner)?.uid !== address.metadata.uid) return; // another of its name by now
    this.#borne.delete(owner);
    if (isTorn && this.#othersOf(owner).length === 0) this.#pending.set(owner, "unknown"); // else it is how duplicates are ended
    if (this.#pending.has(owner)) return; // offered again already (D2)
    const groups = [...this.#allocator.groupsOf(owner), wishGroup(this.#allocator.heldBy(owner))];
    this.#allocator.release(owner, this.#deps.clock.now());
    this.kick();
    for (const [waiting, { key, group }] of this.#limited)
      if (groups.includes(group)) {
        this.#limited.delete(waiting);
        this.#deps.wake(key);
        break;
      }
  }

  /** A value for the claim, until `seen`, `cancel` or `settle`. The same for the same claim. */
  offer(claim: IPAddressClaim, wish?: bigint): Answer {
    const { name, namespace = "" } = claim.metadata;
    const owner = keyText({ namespace, name });
    const groups = groupsOf(claim, claim.metadata.labels, claim.spec.clusterName);
    const answer = this.#allocator.allocate({ owner, name: owner, groups }, this.#deps.clock.now(), wish);
    if (answer.kind === "given" && !this.#borne.has(owner)) this.#pending.set(owner, "offered");
    if (answer.kind === "exhausted") this.#queueUp({ namespace, name }, claim);
    const group = answer.kind === "over quota" ? answer.group : wishGroup(wish);
    if (answer.kind === "given") this.#limited.delete(owner);
    else if (answer.kind !== "exhausted") this.#limited.set(owner, { key: { namespace, name }, group });
    return answer;
  }

  /** Nobody knows whether the IPAddress was made: the value is kept for the claim until that is known. */
  unsure(owner: string): void {
    if (this.#pending.has(owner)) this.#pending.set(owner, "unknown");
  }

  /** Certainly none was made. */
  cancel(owner: string): void {
    if (!this.#pending.delete(owner) || this.#borne.has(owner)) return;
    this.#allocator.cancel(owner);
  }

  /** Another process has the value: nobody is offered it for a while. */
  lost(owner: string, value: bigint, restMs: number): void {
    this.cancel(owner);
    this.#allocator.rest(value, this.#deps.clock.now() + restMs);
  }

  /** What would be given next, in order, also where chance decides. */
  ahead(count: number): readonly bigint[] {
    return this.#allocator.ahead(count);
  }

  /** What newcomers may have, by now and later; undefined where the book has not taken in this version of the pool. */
  outlook(pool: Pool): Outlook | undefined {
    if (versionOf(pool) !== this.#version) return undefined;
    this.#allocator.advance(this.#deps.clock.now());
    const spare = this.#allocator.spare() - BigInt(this.#waiting.size); // who waits comes first
    const ends = this.#allocator.restEnds();
    const later = spare < 0n ? ends.slice(Number(-spare)) : ends;
    return { now: spare > 0n ? spare : 0n, resting: ends.length, later };
  }

  /** Something out there uses the value: nobody is offered it for a while. */
  avoid(value: bigint, restMs: number): void {
    this.#allocator.rest(value, this.#deps.clock.now() + restMs);
  }

  /** The claim's round has ended, well or not. `waits`: it wants an address and has none. */
  settle(owner: string, waits: boolean): void {
    if (this.#pending.get(owner) === "offered") this.cancel(owner);
    const waiting = this.#waiting.get(owner);
    if (waiting?.called) {
      waiting.called = false;
      this.#called--;
      if (waits) this.#queue.add(waiting.since, waiting);
    }
    if (!waits) {
      this.#waiting.delete(owner);
      this.#limited.delete(owner);
    }
    this.kick();
  }

  /** Wakes as many of those who wait as there are values for, the first first (D3). */
  kick(): void {
    const now = this.#deps.clock.now();
    this.#allocator.advance(now);
    let left = this.#waiting.size > 0 ? this.#allocator.spare() - BigInt(this.#called) : 0n;
    for (; left > 0n; left--) {
      const next = this.#next();
      if (!next) break;
      next.called = true;
      this.#called++;
      this.#deps.wake(next.key);
    }
    this.#wait(now);
  }

  /** Everybody who waits, the first first. */
  waiting(): readonly Key[] {
    return [...this.#waiting.values()].sort((a, b) => a.since - b.since).map(({ key }) => key);
  }

  /** All that is known by IPAddresses alone: what is only being given does not count as used. */
  counts(): Counts & { readonly waiting: number } {
    const counts = this.#allocator.counts();
    const offered = [...this.#pending.keys()].filter((owner) => !this.#borne.has(owner));
    const bearers = offered.map((owner) => this.#othersOf(owner).length);
    const unmade = bearers.filter((count) => count === 0).length;
    const taken = bearers.filter((count) => count === 1).length; // borne once, by another's IPAddress
    return {
      ...counts,
      used: counts.used - unmade,
      free: counts.free + BigInt(unmade),
      duplicates: counts.duplicates - taken,
      waiting: this.#waiting.size,
    };
  }

  /** What people should hear of: addresses out of range, and addresses borne twice with who bears them. */
  oddities(): { readonly outOfRange: readonly string[]; readonly duplicates: readonly string[] } {
    const { outOfRange, duplicates } = this.#allocator.oddities();
    const addressesOf = (value: bigint) => this.#bearersOf(value);
    return {
      outOfRange: outOfRange.flatMap(addressesOf).map((owner) => this.#borne.get(owner)?.address ?? owner),
      duplicates: duplicates
        .filter((value) => addressesOf(value).length > 1)
        .map(
          (value) => `${this.#terms?.text(value) ?? value} (${[...addressesOf(value)].sort().join(", ")})`,
        ),
    };
  }

  /** The other IPAddresses that bear the owner's value. */
  sharers(owner: string): readonly Key[] {
    return this.#othersOf(owner).flatMap((other) => this.#borne.get(other)?.key ?? []);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Whose IPAddresses bear the value. To whom it is only offered does not bear it: another process may have been faster. */
  #bearersOf(value: bigint): readonly string[] {
    return this.#allocator.bearersOf(value).filter((owner) => this.#borne.has(owner));
  }

  /** Whose IPAddresses, but the owner's, bear the owner's value. */
  #othersOf(owner: string): readonly string[] {
    const value = this.#allocator.heldBy(owner);
    return value === undefined ? [] : this.#bearersOf(value).filter((other) => other !== owner);
  }

  #hold({ address, claimant }: Borne): void {
    const value = this.#terms?.read(address);
    if (value !== undefined) this.#allocator.hold(value, claimant, this.#deps.clock.now());
  }

  #startAnew(shape: Shape): void {
    this.#allocator = new Allocator({ universe: [] }, this.#deps.random);
    this.#pending.clear();
    for (const borne of this.#borne.values()) this.#hold(borne);
    this.#allocator.reshape(shape);
  }

  #keepPromises({ reserved, aside }: Policy): void {
    const now = this.#deps.clock.now();
    this.#allocator.dropPromises();
    for (const { key, what, until } of reserved)
      if (until === undefined || until > now) this.#allocator.reserve(what, key, until);
    for (const { key, what, until, then } of aside)
      if (until === undefined || until > now) this.#allocator.setAside(clusterGroup(key), what, until, then);
      else this.#allocator.setAside(clusterGroup(key), then);
  }

  #queueUp(key: Key, claim: IPAddressClaim): void {
    const owner = keyText(key);
    if (this.#waiting.has(owner)) return;
    const since = Date.parse(claim.metadata.creationTimestamp);
    const waiting: Waiting = { key, since: Number.isNaN(since) ? 0 : since, called: false };
    this.#waiting.set(owner, waiting);
    this.#queue.add(waiting.since, waiting);
    this.#wait(this.#deps.clock.now());
  }

  #next(): Waiting | undefined {
    for (;;) {
      const next = this.#queue.take(Infinity)?.item;
      if (!next) return undefined;
      if (this.#waiting.get(keyText(next.key)) === next && !next.called) return next;
    }
  }

  /** Comes back when something falls due for those who wait. */
  #wait(now: number): void {
    const at = this.#waiting.size > 0 ? this.#allocator.nextAt() : undefined;
    if (at === this.#timer?.at) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (at === undefined) return;
    const cancel = this.#deps.clock.after(at - now, () => {
      this.#timer = undefined;
      this.kick();
    });
    this.#timer = { at, cancel };
  }
}

/** Not by its revision: counters change nothing here. */
function versionOf({ metadata: { uid, generation, annotations = {} } }: Pool): string {
  return JSON.stringify([uid, generation, annotations]);
}

/** An IPAddress counts for whoever bears its name: claims and their IPAddresses share it. */
function ownerOf(address: IPAddress): string {
  const { name, namespace = "" } = address.metadata;
  return keyText({ namespace, name });
}

function groupsOf(
  { metadata }: { readonly metadata: { readonly namespace?: string } },
  labels: Readonly<Record<string, string>> | undefined,
  clusterName?: string,
): string[] {
  const { namespace = "" } = metadata;
  const cluster = clusterName ?? labels?.[clusterNameLabel];
  return [`namespace ${namespace}`, ...(cluster ? [clusterGroup(`${namespace}/${cluster}`)] : [])];
}

function wishGroup(value: bigint | undefined): string {
  return `value ${value ?? "none"}`;
}

function clusterGroup(key: string): string {
  return `cluster ${key}`;
}

function shapeOf({ universe }: Terms, policy: Policy): Shape {
  const { strategy, quarantineMs, stickyMs, draining, perCluster, perNamespace } = policy;
  const quota = (group: string) => (group.startsWith("cluster ") ? perCluster : perNamespace);
  return { universe, draining, strategy, quarantineMs, stickyMs, quota };
}

// Who holds what in one scope: a plain data structure without timers or promises. Times are milliseconds of one clock, the caller's.
// Values are addresses, or numbers of blocks where a pool gives out prefixes (blocks.ts).
//
//   P1. A value is given to one owner, and to nobody else while that owner holds it. Asking again gives the same again.
//   P2. What the world says (`hold`) is taken in as it is: outside of the universe, or borne by several. Such a value is free again
//       when its last bearer lets go.
//   P3. Nobody gets a value that rests (quarantine), is kept for another name (reservation), or drains. The name that gave a value
//       back last may have it out of its rest.
//   P4. What is set aside for a group is left for it: others are served only while more than that is free.
//   P5. Every operation takes O(log n); `reshape` alone builds anew.
import type { Answer, Counts } from "./answer.ts";
import { DueQueue } from "./due.ts";
import { FreeValues, type Strategy } from "./free-values.ts";
import { includes, sizeOf, subtract, type IntervalSet } from "./intervals.ts";

/** What may be given out, and how. */
export interface Shape {
  readonly universe: IntervalSet;
  /** Parts of it that give out nothing more; who holds one keeps it. */
  readonly draining?: IntervalSet;
  /** "lowest" unless told. */
  readonly strategy?: Strategy;
  /** How long a released value rests before anybody else may have it; 0 unless told. */
  readonly quarantineMs?: number;
  /** How long the value of a released name is remembered, so that the same name gets it back; 0 unless told. */
  readonly stickyMs?: number;
  /** How many values the claims of a group may hold together; undefined: any number. */
  readonly quota?: (group: string) => number | undefined;
}

export interface Claimant {
  /** Unique in all the world and for ever: a uid. */
  readonly owner: string;
  /** What outlives the owner: reservations are for it, and memory is by it. */
  readonly name?: string;
  /** What it counts towards: its cluster, its namespace. */
  readonly groups?: readonly string[];
}

interface Holding {
  readonly value: bigint;
  readonly name: string | undefined;
  readonly groups: readonly string[];
}

interface Reserved {
  readonly name: string;
  readonly until: number | undefined;
  readonly worn: boolean;
}

interface Rest {
  readonly until: number;
  readonly name: string | undefined;
}

interface Memory {
  readonly value: bigint;
  readonly until: number;
}

interface Aside {
  readonly count: number;
  readonly until: number | undefined;
  /** How many are kept after that. */
  readonly then: number;
}

/** What may fall due, if it is still the one that counts by then. */
type Expiry =
  | { readonly what: "rest"; readonly value: bigint; readonly entry: Rest }
  | { readonly what: "reservation"; readonly value: bigint; readonly entry: Reserved }
  | { readonly what: "memory"; readonly name: string; readonly entry: Memory }
  | { readonly what: "aside"; readonly group: string; readonly entry: Aside };

export class Allocator {
  #shape: Shape;
  #total = 0n;
  readonly #free: FreeValues;
  readonly #owners = new Map<string, Holding>();
  readonly #bearers = new Map<bigint, Set<string>>();
  readonly #resting = new Map<bigint, Rest>();
  readonly #reserved = new Map<bigint, Reserved>();
  readonly #reservedFor = new Map<string, bigint>();
  readonly #memory = new Map<string, Memory>();
  readonly #groups = new Map<string, number>();
  readonly #aside = new Map<string, Aside>();
  #asideOpen = 0;
  readonly #due = new DueQueue<Expiry>();
  #outOfRange = 0;
  #heldDraining = 0;
  #duplicates = 0;

  /** `random` is in [0, 1). */
  constructor(shape: Shape, random: () => number) {
    this.#shape = shape;
    this.#free = new FreeValues(random);
    this.reshape(shape);
  }

  /** Gives a value to the claimant, or the one that it holds already (P1). */
  allocate(claimant: Claimant, now: number, wish?: bigint): Answer {
    this.advance(now);
    const held = this.#owners.get(claimant.owner);
    if (held) return { kind: "given", value: held.value, by: "again" };
    const full = this.#fullGroup(claimant);
    if (full) return full;
    const { name } = claimant;

    if (wish !== undefined) {
      const refusal = this.#refusal(wish, claimant);
      return refusal ?? this.#give(wish, claimant, "wish");
    }
    const may = (value: bigint | undefined): value is bigint =>
      value !== undefined && this.#refusal(value, claimant) === undefined;
    const kept = name === undefined ? undefined : this.#reservedFor.get(name);
    if (may(kept)) return this.#give(kept, claimant, "reservation");
    const known = name === undefined ? undefined : this.#memory.get(name)?.value;
    if (may(known)) return this.#give(known, claimant, "memory");
    const value = this.#spare(claimant) > 0n ? this.#free.next() : undefined;
    return value === undefined ? this.#exhausted() : this.#give(value, claimant, "strategy");
  }

  /** Takes in that the owner holds this value, whoever gave it (P2). It lets go of any other. */
  hold(value: bigint, claimant: Claimant, now: number): void {
    const held = this.#owners.get(claimant.owner);
    if (held?.value === value) return;
    if (held) this.release(claimant.owner, now);
    this.advance(now);
    this.#bear(value, claimant);
  }

  /** The owner lets go. Returns its value, where nobody bears that any more; undefined: nothing came free. */
  release(owner: string, now: number): bigint | undefined {
    this.advance(now);
    const { stickyMs = 0, quarantineMs = 0 } = this.#shape;
    return this.#letGo(owner, { rememberUntil: now + stickyMs, restUntil: now + quarantineMs, now });
  }

  /** The owner never used what it was given: free at once, and not remembered. */
  cancel(owner: string): bigint | undefined {
    return this.#letGo(owner, { rememberUntil: 0, restUntil: 0, now: 0 });
  }

  #letGo(
    owner: string,
    { rememberUntil, restUntil, now }: { rememberUntil: number; restUntil: number; now: number },
  ): bigint | undefined {
    const held = this.#owners.get(owner);
    if (!held) return undefined;
    const { value, name, groups } = held;
    this.#owners.delete(owner);
    for (const group of groups) this.#count(group, -1);
    const bearers = this.#bearers.get(value) as Set<string>;
    bearers.delete(owner);
    if (bearers.size === 1) this.#duplicates--;
    if (rememberUntil > now && name !== undefined) {
      const entry: Memory = { value, until: rememberUntil };
      this.#memory.set(name, entry);
      this.#due.add(entry.until, { what: "memory", name, entry });
    }
    if (bearers.size > 0) return undefined;
    this.#bearers.delete(value);
    if (!includes(this.#shape.universe, value)) {
      this.#outOfRange--;
      return undefined;
    }
    if (this.#drains(value)) this.#heldDraining--;
    if (restUntil > now) this.#rest(value, restUntil, name);
    else this.#open(value, true);
    return value;
  }

  /** Lets a value rest until then, as after a release; for what was known before a restart. Held or resting longer: nothing. */
  rest(value: bigint, until: number, name?: string): void {
    const isKnown = this.#bearers.has(value) || (this.#resting.get(value)?.until ?? 0) >= until;
    if (!isKnown && includes(this.#shape.universe, value)) this.#rest(value, until, name);
  }

  /**
   * Keeps a value for a name, in place of what was kept for it: until that time, or until the name takes it; for ever where no time
   * is told. False where another name holds the value, or has it kept.
   */
  reserve(value: bigint, name: string, until?: number): boolean {
    const other = this.#reserved.get(value);
    const isForeign = this.bearersOf(value).some((owner) => this.#owners.get(owner)?.name !== name);
    if (isForeign || (other && other.name !== name)) return false;
    const former = this.#reservedFor.get(name);
    if (former !== undefined && former !== value) this.unreserve(former);
    const worn = other?.worn ?? this.#free.isWorn(value);
    const entry: Reserved = { name, until, worn };
    this.#reserved.set(value, entry);
    this.#reservedFor.set(name, value);
    this.#free.remove(value);
    if (until !== undefined) this.#due.add(until, { what: "reservation", value, entry });
    return true;
  }

  /** Gives up a reservation. There is none: nothing happens. */
  unreserve(value: bigint): void {
    const reserved = this.#reserved.get(value);
    if (!reserved) return;
    this.#reserved.delete(value);
    this.#reservedFor.delete(reserved.name);
    this.#open(value, reserved.worn);
  }

  /** Keeps so many values for a group, counting those that it holds (P4); 0 gives them up. After `until`, `then` are kept. */
  setAside(group: string, count: number, until?: number, then = 0): void {
    this.#asideOpen -= this.#asideFor(group);
    const entry: Aside = { count, until, then };
    if (count > 0) this.#aside.set(group, entry);
    else this.#aside.delete(group);
    this.#asideOpen += this.#asideFor(group);
    if (count > 0 && until !== undefined) this.#due.add(until, { what: "aside", group, entry });
  }

  /** Gives up all reservations, and all that was set aside. */
  dropPromises(): void {
    for (const value of [...this.#reserved.keys()]) this.unreserve(value);
    for (const group of [...this.#aside.keys()]) this.setAside(group, 0);
  }

  /** Another universe, other parts that drain, another strategy: who holds something keeps it. */
  reshape(shape: Shape): void {
    this.#shape = shape;
    const open = subtract(shape.universe, shape.draining ?? []);
    this.#total = sizeOf(shape.universe);
    for (const value of [...this.#resting.keys()])
      if (!includes(shape.universe, value)) this.#resting.delete(value);
    const kept = [...this.#bearers.keys(), ...this.#resting.keys(), ...this.#reserved.keys()];
    this.#free.reset(open, kept, shape.strategy);
    this.#outOfRange = 0;
    this.#heldDraining = 0;
    for (const value of this.#bearers.keys())
      if (!includes(shape.universe, value)) this.#outOfRange++;
      else if (this.#drains(value)) this.#heldDraining++;
  }

  /** Lets everything happen that falls due by then; the other operations do so themselves. Returns how many values came free. */
  advance(now: number): number {
    let freed = 0;
    for (let due = this.#due.take(now); due; due = this.#due.take(now)) freed += this.#expire(due.item);
    return freed;
  }

  /** When something falls due next; undefined: nothing will change by itself. May be too early, never too late. */
  nextAt(): number | undefined {
    return this.#due.next()?.at;
  }

  /** The values that would be given next, in order, as long as nothing comes free; what chance brings is drawn for it, and stays so. */
  ahead(count: number): readonly bigint[] {
    return this.#free.ahead(count);
  }

  /** When each value that rests comes free, the earliest first; but those that something else keeps. For reports: walks all that rest. */
  restEnds(): readonly number[] {
    return [...this.#resting]
      .filter(([value]) => !this.#reserved.has(value) && !this.#drains(value))
      .map(([, { until }]) => until)
      .sort((a, b) => a - b);
  }

  counts(): Counts {
    return {
      total: this.#total,
      free: this.#free.count,
      used: this.#bearers.size,
      outOfRange: this.#outOfRange,
      resting: this.#resting.size,
      reserved: this.#keptFree(),
      draining: this.#heldDraining,
      duplicates: this.#duplicates,
    };
  }

  /** How many values anybody may have now: free, and set aside for nobody. */
  spare(): bigint {
    return this.#spare({ owner: "" });
  }

  /** What the owner holds. */
  heldBy(owner: string): bigint | undefined {
    return this.#owners.get(owner)?.value;
  }

  /** Who bears the value. */
  bearersOf(value: bigint): readonly string[] {
    return [...(this.#bearers.get(value) ?? [])];
  }

  /** What the owner counts towards. */
  groupsOf(owner: string): readonly string[] {
    return this.#owners.get(owner)?.groups ?? [];
  }

  /** How many values the claims of a group hold. */
  groupUse(group: string): number {
    return this.#groups.get(group) ?? 0;
  }

  /** Values outside of the universe that are held, and values borne by several. For reports: walks all that is held. */
  oddities(): { readonly outOfRange: bigint[]; readonly duplicates: bigint[] } {
    const values = [...this.#bearers];
    return {
      outOfRange: values.filter(([value]) => !includes(this.#shape.universe, value)).map(([value]) => value),
      duplicates: values.filter(([, owners]) => owners.size > 1).map(([value]) => value),
    };
  }

  /** Returns how many values came free. */
  #expire(item: Expiry): number {
    switch (item.what) {
      case "rest":
        if (this.#resting.get(item.value) !== item.entry) return 0;
        this.#resting.delete(item.value);
        return this.#open(item.value, true) ? 1 : 0;
      case "reservation":
        if (this.#reserved.get(item.value) !== item.entry) return 0;
        this.unreserve(item.value);
        return this.#free.has(item.value) ? 1 : 0;
      case "memory":
        if (this.#memory.get(item.name) === item.entry) this.#memory.delete(item.name);
        return 0;
      case "aside": {
        if (this.#aside.get(item.group) !== item.entry) return 0;
        const open = this.#asideFor(item.group);
        this.setAside(item.group, item.entry.then);
        return open - this.#asideFor(item.group);
      }
    }
  }

  #fullGroup({ groups = [] }: Claimant): (Answer & { kind: "over quota" }) | undefined {
    for (const group of groups) {
      const limit = this.#shape.quota?.(group);
      const held = this.groupUse(group);
      if (limit !== undefined && held >= limit) return { kind: "over quota", group, limit, held };
    }
    return undefined;
  }

  /** Why the claimant may not have this very value; undefined: it may. */
  #refusal(value: bigint, claimant: Claimant): (Answer & { kind: "refused" }) | undefined {
    const refused = (why: (Answer & { kind: "refused" })["why"], until?: number) =>
      ({ kind: "refused", why, ...(until === undefined ? {} : { until }) }) as const;
    if (!includes(this.#shape.universe, value)) return refused("outside");
    if (this.#bearers.has(value)) return refused("held");
    const reserved = this.#reserved.get(value);
    const isMine = reserved !== undefined && reserved.name === claimant.name;
    if (reserved && !isMine) return refused("reserved", reserved.until);
    if (this.#drains(value) && !isMine) return refused("draining");
    const resting = this.#resting.get(value);
    if (resting && (resting.name === undefined || resting.name !== claimant.name))
      // P3
      return refused("resting", resting.until);
    const wasOpen = this.#free.has(value);
    return wasOpen && this.#spare(claimant) <= 0n ? refused("set aside") : undefined;
  }

  /** How many free values are not set aside for others than the claimant (P4). */
  #spare({ groups = [] }: Claimant): bigint {
    const own = groups.reduce((sum, group) => sum + this.#asideFor(group), 0);
    return this.#free.count - BigInt(this.#asideOpen - own);
  }

  #asideFor(group: string): number {
    const aside = this.#aside.get(group);
    return aside ? Math.max(0, aside.count - this.groupUse(group)) : 0;
  }

  #give(value: bigint, claimant: Claimant, by: (Answer & { kind: "given" })["by"]): Answer {
    this.#bear(value, claimant);
    return { kind: "given", value, by };
  }

  #bear(value: bigint, { owner, name, groups = [] }: Claimant): void {
    const reserved = this.#reserved.get(value);
    if (reserved && reserved.until !== undefined) {
      this.#reserved.delete(value);
      this.#reservedFor.delete(reserved.name);
    }
    this.#resting.delete(value);
    this.#free.remove(value);
    this.#owners.set(owner, { value, name, groups });
    for (const group of groups) this.#count(group, 1);
    if (name !== undefined) this.#memory.delete(name);
    const bearers = this.#bearers.get(value);
    if (bearers) {
      if (bearers.size === 1) this.#duplicates++;
      bearers.add(owner);
      return;
    }
    this.#bearers.set(value, new Set([owner]));
    if (!includes(this.#shape.universe, value)) this.#outOfRange++;
    else if (this.#drains(value)) this.#heldDraining++;
  }

  #count(group: string, more: 1 | -1): void {
    this.#asideOpen -= this.#asideFor(group);
    const now = this.groupUse(group) + more;
    if (now > 0) this.#groups.set(group, now);
    else this.#groups.delete(group);
    this.#asideOpen += this.#asideFor(group);
  }

  #rest(value: bigint, until: number, name: string | undefined): void {
    const entry: Rest = { until, name };
    this.#resting.set(value, entry);
    this.#free.remove(value);
    this.#due.add(until, { what: "rest", value, entry });
  }

  /** Free, unless something else still keeps it. `worn`: it was in use before. */
  #open(value: bigint, worn: boolean): boolean {
    const isKept = this.#bearers.has(value) || this.#resting.has(value) || this.#reserved.has(value);
    return !isKept && this.#free.add(value, worn);
  }

  /** Reserved and not held. */
  #keptFree(): number {
    let count = 0;
    for (const value of this.#reserved.keys()) if (!this.#bearers.has(value)) count++;
    return count;
  }

  #drains(value: bigint): boolean {
    const { draining } = this.#shape;
    return draining !== undefined && includes(draining, value);
  }

  #exhausted(): Answer {
    return {
      kind: "exhausted",
      used: this.#bearers.size,
      resting: this.#resting.size,
      reserved: this.#keptFree(),
      setAside: Math.min(this.#asideOpen, Number(this.#free.count)),
      nextAt: this.nextAt(),
    };
  }
}

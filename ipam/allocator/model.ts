// For tests: the simplest thing that is right. Every value has a few flags, and every question walks them all.
import type { Claimant } from "./allocator.ts";
import type { Answer, Counts } from "./answer.ts";
import type { Strategy } from "./free-values.ts";

interface Cell {
  inside: boolean;
  draining: boolean;
  bearers: { owner: string; name: string | undefined; groups: readonly string[] }[];
  rest: { until: number; name: string | undefined; serial: number } | undefined;
  kept: { name: string; until: number | undefined; worn: boolean; serial: number } | undefined;
  /** When it last came free after use; undefined: never used since it was opened. */
  wornAt: number | undefined;
}

export interface ModelShape {
  inside: (at: number) => boolean;
  draining: (at: number) => boolean;
  strategy: Strategy;
  quarantineMs: number;
  stickyMs: number;
  limit: number | undefined;
}

export class Model {
  readonly cells: Cell[];
  #serial = 0;
  #shape: ModelShape;
  readonly #memory = new Map<string, { at: number; until: number }>();
  readonly #aside = new Map<string, { count: number; until: number | undefined }>();

  constructor(size: number, shape: ModelShape) {
    this.cells = Array.from({ length: size }, () => ({
      inside: false,
      draining: false,
      bearers: [],
      rest: undefined,
      kept: undefined,
      wornAt: undefined,
    }));
    this.#shape = shape;
    this.reshape(shape);
  }

  isFree(at: number): boolean {
    const cell = this.cells[at];
    return (
      cell !== undefined &&
      cell.inside &&
      !cell.draining &&
      cell.bearers.length === 0 &&
      !cell.rest &&
      !cell.kept
    );
  }

  free(): number[] {
    return this.cells.flatMap((_, at) => (this.isFree(at) ? [at] : []));
  }

  advance(now: number): void {
    // In the order in which it falls due, as only that is what happened.
    for (;;) {
      let first = Infinity;
      for (const { rest, kept } of this.cells)
        first = Math.min(first, rest?.until ?? Infinity, kept?.until ?? Infinity);
      for (const { until } of this.#memory.values()) first = Math.min(first, until);
      for (const { until } of this.#aside.values()) first = Math.min(first, until ?? Infinity);
      if (first > now) return;
      const due = this.cells.flatMap(({ rest, kept }, at) => [
        ...(rest?.until === first ? [{ at, what: "rest", serial: rest.serial }] : []),
        ...(kept?.until === first ? [{ at, what: "kept", serial: kept.serial }] : []),
      ]);
      for (const { at, what } of due.sort((a, b) => a.serial - b.serial)) {
        if (what === "kept") this.unreserve(at);
        else {
          (this.cells[at] as Cell).rest = undefined;
          this.#worn(at, true);
        }
      }
      for (const [name, { until }] of this.#memory) if (until === first) this.#memory.delete(name);
      for (const [group, { until }] of this.#aside) if (until === first) this.#aside.delete(group);
    }
  }

  /** Which answers would be right. Several under "random", else one. */
  allowed(claimant: Claimant, now: number, wish?: number): { kind: string; values?: number[] } {
    this.advance(now);
    const own = this.cells.findIndex(({ bearers }) => bearers.some(({ owner }) => owner === claimant.owner));
    if (own >= 0) return { kind: "given", values: [own] };
    const { limit } = this.#shape;
    for (const group of claimant.groups ?? [])
      if (limit !== undefined && this.groupUse(group) >= limit) return { kind: "over quota" };
    if (wish !== undefined) {
      const why = this.refusal(wish, claimant);
      return why ? { kind: `refused ${why}` } : { kind: "given", values: [wish] };
    }
    const kept = this.cells.findIndex((cell) => cell.kept && cell.kept.name === claimant.name);
    if (kept >= 0 && !this.refusal(kept, claimant)) return { kind: "given", values: [kept] };
    const known = claimant.name === undefined ? undefined : this.#memory.get(claimant.name)?.at;
    if (known !== undefined && !this.refusal(known, claimant)) return { kind: "given", values: [known] };
    const next = this.next();
    if (next.length - this.#asideForOthers(claimant) <= 0) return { kind: "exhausted" };
    return { kind: "given", values: this.#shape.strategy === "random" ? next : next.slice(0, 1) };
  }

  /** What is free in the order in which it is given; in any order under "random". */
  next(): number[] {
    const free = this.free();
    if (this.#shape.strategy !== "least-recently-released") return free;
    const wornAt = (at: number) => this.cells[at]?.wornAt ?? 0; // what was never used comes first, the lowest first
    return free.sort((a, b) => wornAt(a) - wornAt(b) || a - b);
  }

  refusal(at: number, claimant: Claimant): string | undefined {
    const cell = this.cells[at];
    if (!cell?.inside) return "outside";
    if (cell.bearers.length > 0) return "held";
    const mine = cell.kept !== undefined && cell.kept.name === claimant.name;
    if (cell.kept && !mine) return "reserved";
    if (cell.draining && !mine) return "draining";
    if (cell.rest && (cell.rest.name === undefined || cell.rest.name !== claimant.name)) return "resting";
    return this.isFree(at) && this.free().length - this.#asideForOthers(claimant) <= 0
      ? "set aside"
      : undefined;
  }

  bear(at: number, { owner, name, groups = [] }: Claimant): void {
    const cell = this.cells[at] as Cell;
    cell.bearers.push({ owner, name, groups });
    if (cell.kept?.until !== undefined) cell.kept = undefined;
    cell.rest = undefined;
    cell.wornAt = undefined;
    if (name !== undefined) this.#memory.delete(name);
  }

  release(owner: string, now: number): void {
    this.advance(now);
    for (const [at, cell] of this.cells.entries()) {
      const bearer = cell.bearers.find((each) => each.owner === owner);
      if (!bearer) continue;
      cell.bearers = cell.bearers.filter((each) => each !== bearer);
      const { stickyMs, quarantineMs } = this.#shape;
      if (stickyMs > 0 && bearer.name !== undefined)
        this.#memory.set(bearer.name, { at, until: now + stickyMs });
      if (cell.bearers.length > 0 || !cell.inside) return;
      if (quarantineMs > 0)
        cell.rest = { until: now + quarantineMs, name: bearer.name, serial: ++this.#serial };
      else this.#worn(at, true);
      return;
    }
  }

  reserve(at: number, name: string, until: number | undefined): boolean {
    const cell = this.cells[at] as Cell;
    if (cell.bearers.some((bearer) => bearer.name !== name)) return false;
    if (cell.kept && cell.kept.name !== name) return false;
    const former = this.cells.findIndex(({ kept }) => kept?.name === name);
    if (former >= 0 && former !== at) this.unreserve(former);
    const worn = cell.kept?.worn ?? cell.wornAt !== undefined;
    cell.kept = { name, until, worn, serial: ++this.#serial };
    cell.wornAt = undefined;
    return true;
  }

  unreserve(at: number): void {
    const cell = this.cells[at] as Cell;
    const { kept } = cell;
    if (!kept) return;
    cell.kept = undefined;
    this.#worn(at, kept.worn);
  }

  setAside(group: string, count: number, until: number | undefined): void {
    if (count > 0) this.#aside.set(group, { count, until });
    else this.#aside.delete(group);
  }

  reshape(shape: ModelShape): void {
    this.#shape = shape;
    for (const [at, cell] of this.cells.entries()) {
      cell.inside = shape.inside(at);
      cell.draining = shape.draining(at);
      if (!cell.inside) cell.rest = undefined;
      if (!this.isFree(at)) cell.wornAt = undefined;
    }
  }

  groupUse(group: string): number {
    return this.cells.reduce(
      (sum, { bearers }) => sum + bearers.filter(({ groups }) => groups.includes(group)).length,
      0,
    );
  }

  counts(): Omit<Counts, "total" | "free"> & { total: number; free: number } {
    const count = (is: (cell: Cell) => boolean) => this.cells.filter(is).length;
    return {
      total: count(({ inside }) => inside),
      free: this.free().length,
      used: count(({ bearers }) => bearers.length > 0),
      outOfRange: count(({ bearers, inside }) => bearers.length > 0 && !inside),
      resting: count(({ rest }) => rest !== undefined),
      reserved: count(({ kept, bearers }) => kept !== undefined && bearers.length === 0),
      draining: count(({ draining, bearers, inside }) => inside && draining && bearers.length > 0),
      duplicates: count(({ bearers }) => bearers.length > 1),
    };
  }

  #asideForOthers({ groups = [] }: Claimant): number {
    let sum = 0;
    for (const [group, { count }] of this.#aside)
      if (!groups.includes(group)) sum += Math.max(0, count - this.groupUse(group));
    return sum;
  }

  /** It may have come free: after use it stands behind all that came free before. */
  #worn(at: number, worn: boolean): void {
    const cell = this.cells[at] as Cell;
    if (this.isFree(at)) cell.wornAt = worn ? ++this.#serial : undefined;
  }
}

export type { Answer };

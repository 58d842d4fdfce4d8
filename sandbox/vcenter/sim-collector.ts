// A property collector: filters, and the wait for what changed since the version the client has.
//   C1. Version "" tells everything; the current version only changes; the one before is told again what it was told (the answer
//       may have been lost); any other is InvalidCollectorVersion.
//   C2. One wait at a time; cancelling, destroying and the end of the session end it with RequestCanceled.
import type { Clock } from "#core";
import type { Ref } from "#vsphere";
import type { Read, Write } from "#vsphere/soap/types.ts";
import type { Typed } from "#vsphere/soap/writer.ts";
import { SimFault } from "./fault.ts";
import { fingerprint, select, type Lookup } from "./selection.ts";

type Told = Map<string, { readonly ref: Ref; readonly values: Map<string, string> }>;

interface Filter {
  readonly ref: Ref;
  readonly spec: Read<"PropertyFilterSpec">;
  told: Told;
}

export interface WaitDeps {
  readonly clock: Clock;
  readonly lookup: Lookup;
  /** Calls back after each change of the world; answers with the way to stop. */
  readonly onChange: (listener: () => void) => () => void;
  /** Ends when the client goes away. */
  readonly signal: AbortSignal;
}

export class SimCollector {
  readonly filters = new Map<string, Filter>();
  #version = 0;
  #last: Write<"UpdateSet"> | undefined;
  #cancel: ((fault: SimFault) => void) | undefined;
  #wake: (() => void) | undefined;

  get waiting(): boolean {
    return this.#cancel !== undefined;
  }

  addFilter(ref: Ref, spec: Read<"PropertyFilterSpec">): void {
    this.filters.set(ref.value, { ref, spec, told: new Map() });
    this.#wake?.();
  }

  /** Undefined when `maxWaitSeconds` went by without a change. */
  async wait(
    version: string,
    options: Read<"WaitOptions"> | undefined,
    deps: WaitDeps,
  ): Promise<Write<"UpdateSet"> | undefined> {
    if (version === "") this.#forget();
    else if (version === String(this.#version - 1) && this.#last)
      return this.#last; // C1
    else if (version !== String(this.#version))
      throw new SimFault("The collector version is not valid.", { $type: "InvalidCollectorVersion" });
    this.cancel();
    const ready = this.#updates(deps.lookup, options?.maxObjectUpdates);
    if (ready || options?.maxWaitSeconds === 0) return ready;
    return this.#sleep(options, deps);
  }

  cancel(): void {
    this.#cancel?.(new SimFault("The request was canceled.", { $type: "RequestCanceled" })); // C2
  }

  destroy(): void {
    this.cancel();
    this.filters.clear();
  }

  #sleep(options: Read<"WaitOptions"> | undefined, deps: WaitDeps): Promise<Write<"UpdateSet"> | undefined> {
    return new Promise((resolve, reject) => {
      const stops: (() => void)[] = [];
      const end = (settle: () => void) => {
        for (const stop of stops.splice(0)) stop();
        this.#cancel = undefined;
        this.#wake = undefined;
        settle();
      };
      const look = () => {
        try {
          const updates = this.#updates(deps.lookup, options?.maxObjectUpdates);
          if (updates) end(() => resolve(updates));
        } catch (error) {
          end(() => reject(error as Error));
        }
      };
      this.#cancel = (fault) => end(() => reject(fault));
      this.#wake = look;
      stops.push(deps.onChange(look));
      if (options?.maxWaitSeconds !== undefined)
        stops.push(deps.clock.after(options.maxWaitSeconds * 1000, () => end(() => resolve(undefined))));
      const left = () => end(() => resolve(undefined));
      deps.signal.addEventListener("abort", left, { once: true });
      stops.push(() => deps.signal.removeEventListener("abort", left));
    });
  }

  #forget(): void {
    for (const filter of this.filters.values()) filter.told = new Map();
    this.#last = undefined;
  }

  #updates(lookup: Lookup, limit = Number.POSITIVE_INFINITY): Write<"UpdateSet"> | undefined {
    const filterSet: Write<"PropertyFilterUpdate">[] = [];
    let room = limit;
    let truncated = false;
    for (const filter of this.filters.values()) {
      const all = changesOf(filter, lookup);
      const objectSet = all.slice(0, room);
      truncated ||= objectSet.length < all.length;
      room -= objectSet.length;
      for (const { tell } of objectSet) tell();
      if (objectSet.length > 0)
        filterSet.push({ filter: filter.ref, objectSet: objectSet.map(({ update }) => update) });
    }
    if (filterSet.length === 0) return undefined;
    this.#last = { version: String(++this.#version), filterSet, ...(truncated ? { truncated } : {}) };
    return this.#last;
  }
}

interface Change {
  readonly update: Write<"ObjectUpdate">;
  /** Notes that the client has been told. */
  readonly tell: () => void;
}

function changesOf(filter: Filter, lookup: Lookup): Change[] {
  const { told } = filter;
  const now = select({ ...filter.spec, reportMissingObjectsInResults: true }, lookup);
  const present = new Set(now.map(({ obj }) => obj.value));
  const left = [...told.values()]
    .filter(({ ref }) => !present.has(ref.value))
    .map(({ ref }): Change => ({
      update: { kind: "leave", obj: ref },
      tell: () => void told.delete(ref.value),
    }));
  return [...left, ...now.flatMap((content) => changeOf(content, told) ?? [])];
}

function changeOf({ obj, propSet = [] }: Write<"ObjectContent">, told: Told): Change | undefined {
  const before = told.get(obj.value)?.values;
  const values = new Map(propSet.map(({ name, val }) => [name, fingerprint(val)]));
  const changeSet: Write<"PropertyChange">[] = propSet
    .filter(({ name }) => before?.get(name) !== values.get(name))
    .map(({ name, val }) => ({ name, op: "assign", val: val as Typed }));
  for (const name of before?.keys() ?? [])
    if (!values.has(name)) changeSet.push({ name, op: "assign", val: undefined });
  if (before && changeSet.length === 0) return undefined;
  return {
    update: { kind: before ? "modify" : "enter", obj, changeSet },
    tell: () => void told.set(obj.value, { ref: obj, values }),
  };
}

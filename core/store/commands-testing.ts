// Random life for stores: commands that fast-check makes up, carried out on any store, with everything told that a caller could see.
import fc from "fast-check";
import { Fault } from "../fault.ts";
import type { Resource } from "../resource/meta.ts";
import { fakeClock, type FakeClock } from "../time/fake-clock.ts";
import { widgets, type Widget } from "./contract.ts";
import type { LogStoreDeps } from "./log-store.ts";
import type { ResourceStore } from "./store.ts";

export type Command =
  | {
      readonly do: "create";
      readonly key: Key;
      readonly spec: { readonly size: number };
      readonly label: string;
    }
  | { readonly do: "generate"; readonly namespace: string }
  | { readonly do: "update"; readonly key: Key; readonly size: number; readonly age: number }
  | { readonly do: "label"; readonly key: Key; readonly label: string }
  | { readonly do: "hold" | "release"; readonly key: Key; readonly finalizer: string }
  | { readonly do: "status"; readonly key: Key; readonly seen: number; readonly age: number }
  | { readonly do: "delete"; readonly key: Key }
  | {
      readonly do: "list";
      readonly namespace: string | undefined;
      readonly limit: number;
      readonly label: string;
    }
  | { readonly do: "wait"; readonly ms: number };

interface Key {
  readonly namespace: string;
  readonly name: string;
}

const key = fc.record({ namespace: fc.constantFrom("m", "n"), name: fc.constantFrom("a", "b", "c", "B!") });
const size = fc.integer({ min: 0, max: 4 }); // 0 is not valid
const label = fc.constantFrom("", "x", "y");
const age = fc.constantFrom(0, 0, 0, 1, 2); // how many readings ago: mostly the newest

export const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ do: fc.constant("create" as const), key, spec: fc.record({ size }), label }),
  fc.record({ do: fc.constant("generate" as const), namespace: fc.constantFrom("m", "n") }),
  fc.record({ do: fc.constant("update" as const), key, size, age }),
  fc.record({ do: fc.constant("label" as const), key, label }),
  fc.record({
    do: fc.constantFrom("hold" as const, "release" as const),
    key,
    finalizer: fc.constantFrom("p/q", "r/s"),
  }),
  fc.record({ do: fc.constant("status" as const), key, seen: size, age }),
  fc.record({ do: fc.constant("delete" as const), key }),
  fc.record({
    do: fc.constant("list" as const),
    namespace: fc.constantFrom(undefined, "m"),
    limit: fc.integer({ min: 0, max: 3 }),
    label,
  }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 5000 }) }),
);

/** Nothing random, nothing of the real world: two stores made with these are told apart by nothing. */
export function deterministicDeps(): LogStoreDeps & { readonly clock: FakeClock } {
  let uids = 0;
  let suffixes = 0;
  return {
    clock: fakeClock(),
    newUid: () => `uid-${++uids}`,
    newSuffix: () => String(++suffixes % 7).padStart(5, "x"), // comes round, so that generated names collide
  };
}

/** A caller with a memory: old readings are used again, as slow callers do. */
export class Life {
  readonly #store: ResourceStore;
  readonly #clock: FakeClock;
  readonly #read = new Map<string, Widget[]>();

  constructor(store: ResourceStore, clock: FakeClock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** What a caller saw of it: the result, or the fault. */
  async live(command: Command): Promise<unknown> {
    try {
      return await this.#do(command);
    } catch (error) {
      const { code, message, problems } = Fault.from(error);
      return { code, message, problems };
    }
  }

  async #do(command: Command): Promise<unknown> {
    switch (command.do) {
      case "create":
        return this.#seen(await this.#store.create(widgets, draft(command)));
      case "generate":
        return this.#seen(
          await this.#store.create(widgets, {
            metadata: { generateName: "g-", namespace: command.namespace },
          }),
        );
      case "update":
        return this.#write(command.key, command.age, (it) => ({ ...it, spec: { size: command.size } }));
      case "label":
        return this.#write(command.key, 0, (it) => ({
          ...it,
          metadata: { ...it.metadata, labels: labels(command.label) },
        }));
      case "hold":
        return this.#write(command.key, 0, (it) =>
          withFinalizers(it, [...(it.metadata.finalizers ?? []), command.finalizer]),
        );
      case "release":
        return this.#write(command.key, 0, (it) =>
          withFinalizers(it, it.metadata.finalizers?.filter((each) => each !== command.finalizer) ?? []),
        );
      case "status": {
        const reading = await this.#reading(command.key, command.age);
        if (!reading) return "nothing to write to";
        const status = { seen: command.seen };
        return this.#seen(await this.#store.updateStatus(widgets, { ...reading, status }));
      }
      case "delete":
        return this.#store.delete(widgets, command.key);
      case "list":
        return this.#list(command.namespace, command.limit, command.label);
      case "wait":
        return this.#clock.advance(command.ms);
    }
  }

  async #write(key: Key, age: number, change: (object: Widget) => Widget): Promise<unknown> {
    const reading = await this.#reading(key, age);
    if (!reading) return "nothing to write to";
    return this.#seen(await this.#store.update(widgets, change(reading)));
  }

  async #reading(key: Key, age: number): Promise<Widget | undefined> {
    const now = await this.#store.get(widgets, key);
    if (now) this.#seen(now);
    return age === 0 ? now : this.#read.get(`${key.namespace}/${key.name}`)?.at(-1 - age);
  }

  #seen(object: Widget): Widget {
    const { namespace, name } = object.metadata;
    const readings = this.#read.get(`${namespace}/${name}`) ?? [];
    if (readings.at(-1)?.metadata.resourceVersion !== object.metadata.resourceVersion) readings.push(object);
    this.#read.set(`${namespace}/${name}`, readings);
    return object;
  }

  async #list(namespace: string | undefined, limit: number, wanted: string): Promise<unknown> {
    const pages: unknown[] = [];
    let next: string | undefined;
    do {
      const page = await this.#store.list(widgets, {
        limit,
        ...(namespace ? { namespace } : {}),
        ...(wanted ? { labels: [{ key: "label", op: "=" as const, value: wanted }] } : {}),
        ...(next ? { next } : {}),
      });
      pages.push(page);
      next = page.next;
    } while (next);
    return pages;
  }
}

function draft({ key, spec, label }: Extract<Command, { do: "create" }>): {
  metadata: Partial<Resource["metadata"]>;
  spec: { size: number };
} {
  return { metadata: { ...key, labels: labels(label) }, spec };
}

function labels(label: string): Record<string, string> {
  return label ? { label } : {};
}

function withFinalizers(object: Widget, finalizers: string[]): Widget {
  return { ...object, metadata: { ...object.metadata, finalizers } };
}

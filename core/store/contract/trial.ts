// What a test of the contract has at hand: the store, a namespace of its own, patience, and followers of watches.
import { randomBytes } from "node:crypto";
import { Fault, isFault, type FaultCode } from "../../fault.ts";
import type { Kind } from "../../resource/kind.ts";
import type { Resource } from "../../resource/meta.ts";
import type { LabelSelector } from "../../resource/selector.ts";
import type { ResourceStore, Revision, WatchEvent } from "../store.ts";
import { systemClock } from "../../time/clock.ts";
import { namespaces, widgets, type Widget } from "./kinds.ts";

/** A store to be tested, and what its backend can do for the test. */
export interface ContractSetup {
  readonly store: ResourceStore;
  /** A second writer on the same data. */
  readonly another?: () => Promise<ResourceStore>;
  /** Ends the store as a crash or a restart would, and opens it again on the same data. */
  readonly reopen?: () => Promise<ResourceStore>;
  /** Makes the backend forget all revisions up to now. */
  readonly forget?: () => Promise<void>;
  close(): Promise<void>;
}

export interface ContractCaps {
  /** How many objects the large list has; 10,000 unless told. */
  readonly many?: number;
  /** How long background work may take, milliseconds; 10,000 unless told. A real cluster wants two minutes. */
  readonly patienceMs?: number;
}

export class Trial {
  readonly setup: ContractSetup;
  readonly namespace: string;
  readonly patienceMs: number;
  readonly many: number;
  readonly #followers: Follower[] = [];
  readonly #namespaces: string[] = [];
  readonly #leftovers: (() => Promise<unknown>)[] = [];

  constructor(setup: ContractSetup, namespace: string, caps: ContractCaps) {
    this.setup = setup;
    this.namespace = namespace;
    this.patienceMs = caps.patienceMs ?? 10_000;
    this.many = caps.many ?? 10_000;
  }

  static async begin(make: () => Promise<ContractSetup>, caps: ContractCaps): Promise<Trial> {
    const setup = await make();
    const trial = new Trial(setup, unique("trial"), caps);
    await trial.makeNamespace(trial.namespace);
    return trial;
  }

  async end(): Promise<void> {
    for (const follower of this.#followers) await follower.stop();
    for (const clean of this.#leftovers) await clean().catch(() => {});
    for (const name of this.#namespaces) await this.store.delete(namespaces, { name }).catch(() => {});
    await this.setup.close();
  }

  get store(): ResourceStore {
    return this.setup.store;
  }

  /** Has something done when the test is over, whatever came of it. */
  after(clean: () => Promise<unknown>): void {
    this.#leftovers.unshift(clean);
  }

  async makeNamespace(name: string): Promise<void> {
    await this.store.create(namespaces, { metadata: { name } });
    this.#namespaces.push(name);
  }

  /** Creates a Widget in the test's namespace. */
  widget(
    name: string,
    spec: Widget["spec"] = {},
    metadata: Partial<Resource["metadata"]> = {},
  ): Promise<Widget> {
    return this.store.create(widgets, { metadata: { name, namespace: this.namespace, ...metadata }, spec });
  }

  key(name: string): { name: string; namespace: string } {
    return { name, namespace: this.namespace };
  }

  read(name: string): Promise<Widget | undefined> {
    return this.store.get(widgets, this.key(name));
  }

  /** Waits until the probe finds something (neither false nor undefined), looking again and again, as long as patience lasts. */
  async eventually<T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> {
    const deadline = systemClock.now() + this.patienceMs;
    for (let pause = 2; ; pause = Math.min(pause * 2, 250)) {
      const found = await probe();
      if (found !== undefined && found !== false) return found;
      if (systemClock.now() > deadline) throw new Error(`${what}: not within ${this.patienceMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async eventuallyGone(kind: Kind, name: string): Promise<void> {
    await this.eventually(
      `${kind.kind} ${name} goes`,
      async () => !(await this.store.get(kind, this.key(name))),
    );
  }

  /** Follows a kind in the test's namespace, Widgets unless told. */
  follow<R extends Resource = Widget>(options: {
    readonly after: Revision;
    readonly labels?: LabelSelector;
    readonly store?: ResourceStore;
    readonly kind?: Kind<R>;
  }): Follower<R> {
    const { store = this.store, kind = widgets as unknown as Kind<R>, after, labels } = options;
    const follower = new Follower<R>(
      (signal) =>
        store.watch(kind, { after, namespace: this.namespace, ...(labels ? { labels } : {}) }, signal),
      this.patienceMs,
    );
    this.#followers.push(follower as unknown as Follower);
    return follower;
  }

  /** The revision of now, for Widgets of the test's namespace. */
  async revision(): Promise<Revision> {
    return (await this.store.list(widgets, { namespace: this.namespace })).revision;
  }
}

export type Change<R extends Resource = Resource> = Exclude<WatchEvent<R>, { type: "Bookmark" }>;

/** Gathers what a watch tells, bookmarks left out. */
export class Follower<R extends Resource = Resource> {
  readonly events: Change<R>[] = [];
  /** The fault that ended the watch, if one did. */
  fault: Fault | undefined;
  ended = false;
  readonly #stop = new AbortController();
  readonly #run: Promise<void>;
  readonly #patienceMs: number;
  #wake: () => void = () => {};

  constructor(watch: (signal: AbortSignal) => AsyncIterable<WatchEvent<R>>, patienceMs: number) {
    this.#patienceMs = patienceMs;
    this.#run = this.#follow(watch);
  }

  async #follow(watch: (signal: AbortSignal) => AsyncIterable<WatchEvent<R>>): Promise<void> {
    try {
      for await (const event of watch(this.#stop.signal)) {
        if (event.type !== "Bookmark") this.events.push(event);
        this.#wake();
      }
    } catch (error) {
      this.fault = Fault.from(error);
    }
    this.ended = true;
    this.#wake();
  }

  /** Waits until there are `count` events, and returns them all. */
  async upTo(count: number): Promise<readonly Change<R>[]> {
    await this.#until(`${count} events`, () => this.events.length >= count);
    return this.events;
  }

  async untilEnd(): Promise<void> {
    await this.#until("its end", () => this.ended);
  }

  /** "Added a", one for each event. */
  get story(): string[] {
    return this.events.map(({ type, object }) => `${type} ${object.metadata.name}`);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#run;
  }

  async #until(what: string, reached: () => boolean): Promise<void> {
    const deadline = systemClock.now() + this.#patienceMs;
    while (!reached()) {
      const waited = `waiting for ${what}, a watch has told: ${this.story.join(", ") || "nothing"}`;
      if (this.ended) throw new Error(`${waited}; then it ended`, { cause: this.fault });
      if (systemClock.now() > deadline) throw new Error(`${waited}; after ${this.#patienceMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

/** The code of the Fault that the promise rejects with; fails when it resolves. */
export async function codeOf(promise: Promise<unknown>): Promise<FaultCode> {
  return (await faultOf(promise)).code;
}

export async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  try {
    await promise;
  } catch (error) {
    if (isFault(error)) return error;
    throw error;
  }
  throw new Error("this should have failed, and did not");
}

/** A name that no other test has, here or on the same server. */
export function unique(prefix: string): string {
  return `${prefix}-${randomBytes(5).toString("hex")}`;
}

// A store whose writer dies before its n-th write (which is the same as after the one before). Everything later throws as well: nothing
// is heard from a dead process.
import { Fault, type Kind, type OwnedStore, type Resource, type ResourceStore } from "#core";

export class Crash extends Fault {
  constructor(at: number) {
    super("Cancelled", `the process died at write ${at}`);
  }
}

/** Counts the writes of all stores it wraps. */
export class Doom {
  #writes = 0;
  #dead = false;
  readonly #at: number;
  /** Called after each write that was done. */
  readonly check: () => Promise<void>;

  constructor(at: number, check: () => Promise<void> = () => Promise.resolve()) {
    this.#at = at;
    this.check = check;
  }

  /** Whether the death came. */
  get dead(): boolean {
    return this.#dead;
  }

  get writes(): number {
    return this.#writes;
  }

  async write<T>(work: () => Promise<T>): Promise<T> {
    this.#alive();
    if (++this.#writes === this.#at) {
      this.#dead = true;
      throw new Crash(this.#at);
    }
    const done = await work();
    await this.check();
    return done;
  }

  read<T>(work: () => Promise<T>): Promise<T> {
    this.#alive();
    return work();
  }

  #alive(): void {
    if (this.#dead) throw new Crash(this.#at);
  }
}

/** The store as the doomed process sees it. */
export function crashing(store: ResourceStore, doom: Doom): OwnedStore {
  return {
    get: async (kind, key) => doom.read(() => store.get(kind, key)),
    list: async (kind, options) => doom.read(() => store.list(kind, options)),
    create: async (kind, draft) => doom.write(() => store.create(kind, draft)),
    update: async (kind, object) => doom.write(() => store.update(kind, object)),
    updateStatus: async (kind, object) => doom.write(() => store.updateStatus(kind, object)),
    delete: async <R extends Resource>(kind: Kind<R>, ...rest: [never, never]) =>
      doom.write(() => store.delete(kind, ...rest)),
    watch: (kind, options, signal) => store.watch(kind, options, signal),
    close: () => Promise.resolve(),
  } as OwnedStore;
}

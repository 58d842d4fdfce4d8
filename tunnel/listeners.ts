import { Fault, type Logger } from "#core";

/** Callbacks of users: one that throws is logged and harms nobody. */
export class Listeners<Args extends unknown[]> {
  readonly #log: Logger;
  readonly #all = new Set<{ call: (...args: Args) => void }>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Returns the way to stop. */
  add(call: (...args: Args) => void): () => void {
    const entry = { call };
    this.#all.add(entry);
    return () => void this.#all.delete(entry);
  }

  tell(...args: Args): void {
    for (const { call } of [...this.#all]) {
      try {
        call(...args);
      } catch (error) {
        this.#log.error("a listener of the tunnel failed", { error: Fault.from(error) });
      }
    }
  }
}

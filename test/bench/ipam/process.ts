// The other side of child.ts.
import { fork, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import type { world } from "./site.ts";

/** What a child is told. */
export type Told =
  { readonly do: "make" | "drop"; readonly names: readonly string[] } | { readonly do: "look" };

/** What it tells. */
export type Tells =
  /** Its caches are filled. */
  | { readonly is: "ready"; readonly readyMs: number; readonly heapMiB: number }
  /** All that it found has had a round. */
  | { readonly is: "quiet"; readonly quietMs: number; readonly heapMiB: number }
  | { readonly is: "world"; readonly world: Awaited<ReturnType<typeof world>>; readonly reserved: number }
  | { readonly is: "failed"; readonly why: string };

export class Process {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #told: Tells[] = [];
  #wake: () => void = () => {};

  constructor(store: "sqlite" | "kube", at: string, ...flags: readonly "lead"[]) {
    const execArgv = ["--import", "tsx", "--expose-gc"];
    this.#child = fork(join(import.meta.dirname, "child.ts"), [store, at, ...flags], { execArgv });
    this.#ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.on("message", (message: Tells) => {
      this.#told.push(message);
      this.#wake();
    });
    void this.#ended.then(() => this.#wake());
  }

  tell(told: Told): void {
    this.#child.send(told, () => {}); // it may be dead already
  }

  /** What it says of this kind next. Fails where it says that something failed, or ends. */
  async hear<Is extends Tells["is"]>(is: Is): Promise<Extract<Tells, { is: Is }>> {
    for (;;) {
      const failed = this.#told.find((each) => each.is === "failed");
      if (failed?.is === "failed") throw new Error(failed.why);
      const at = this.#told.findIndex((each) => each.is === is);
      if (at >= 0) return this.#told.splice(at, 1)[0] as Extract<Tells, { is: Is }>;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        throw new Error(`the process ended before it was ${is}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

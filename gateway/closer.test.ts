import { describe, expect, it } from "vitest";
import { silentLogger } from "#core";
import { closer } from "./closer.ts";

describe("the ending of a program", () => {
  it("aborts first, waits for what was promised, then closes the newest first", async () => {
    const said: string[] = [];
    const ending = closer(new AbortController().signal, silentLogger);
    for (const name of ["store", "link"]) ending.own({ close: async () => void said.push(name) });
    ending.wait(
      new Promise<void>((resolve) =>
        ending.signal.addEventListener("abort", () => (said.push("work"), resolve())),
      ),
    );
    await Promise.all([ending.close(), ending.close()]);
    expect(said).toEqual(["work", "link", "store"]);
  });

  it("closes the rest when one thing does not close well", async () => {
    const said: string[] = [];
    const ending = closer(new AbortController().signal, silentLogger);
    ending.own({ close: async () => void said.push("store") });
    ending.own({ close: async () => Promise.reject(new Error("stuck")) });
    await ending.close();
    expect(said).toEqual(["store"]);
  });

  it("follows the outer signal", async () => {
    const outer = new AbortController();
    const ending = closer(outer.signal, silentLogger);
    const closed = new Promise<void>((resolve) => ending.own({ close: async () => resolve() }));
    outer.abort();
    await closed;
    expect(ending.signal.aborted).toBe(true);
  });

  it("keeps a lead until all else is closed", async () => {
    const said: string[] = [];
    const ending = closer(new AbortController().signal, silentLogger);
    await ending.hold({
      async lead(work, signal) {
        await work(signal);
        said.push("gave up the lead");
      },
    });
    ending.own({ close: async () => void said.push("store") });
    await ending.close();
    expect(said).toEqual(["store", "gave up the lead"]);
  });
});

// What every line must do, whatever carries it. A transport's test is a few lines: transportContract("memory", makePair).
import { afterEach, describe, expect, test } from "vitest";
import type { Fault } from "#core";
import { maxFrameBytes, type Transport } from "./transport.ts";

export interface TransportPair {
  readonly dialled: Transport;
  readonly accepted: Transport;
  /** Frees what the pair needs besides its ends. */
  close?(): Promise<void>;
}

/** Collects what a line says. */
class Ear {
  readonly frames: Uint8Array[] = [];
  readonly closed: (Fault | undefined)[] = [];
  writable = 0;
  #changed: () => void = () => {};

  constructor(line: Transport) {
    line.start({
      onFrame: (frame) => this.#note(() => this.frames.push(frame)),
      onWritable: () => this.#note(() => this.writable++),
      onClosed: (why) => this.#note(() => this.closed.push(why)),
    });
  }

  async until(what: (ear: this) => boolean): Promise<void> {
    const late = new Error(`still not: ${what.toString()}`);
    const deadline = Date.now() + 8_000;
    while (!what(this)) {
      if (Date.now() > deadline) throw late;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1_000);
        this.#changed = () => (clearTimeout(timer), resolve());
      });
    }
  }

  #note(change: () => void): void {
    change();
    this.#changed();
  }
}

function bytes(length: number, fill: number): Uint8Array {
  return new Uint8Array(length).fill(fill);
}

/** Lets what is under way arrive; for what should not happen, never for what should. */
const settle = (ms = 20) => new Promise((resolve) => setTimeout(resolve, ms));

export function transportContract(name: string, makePair: () => Promise<TransportPair>): void {
  describe(`the line: ${name}`, () => {
    const open: TransportPair[] = [];
    afterEach(async () => {
      for (const pair of open.splice(0)) {
        pair.dialled.abort();
        pair.accepted.abort();
        await pair.close?.();
      }
    });
    async function pair(): Promise<TransportPair> {
      const made = await makePair();
      open.push(made);
      return made;
    }

    test("carries frames of any size whole and in order, both ways (L1)", async () => {
      const { dialled, accepted } = await pair();
      const near = new Ear(dialled);
      const far = new Ear(accepted);
      const sizes = [3, 4, 1_000, 16_384, 65_536, maxFrameBytes, 5];
      sizes.forEach((size, at) => dialled.send(bytes(size, at)));
      sizes.forEach((size, at) => accepted.send(bytes(size, at + 100)));
      await far.until((ear) => ear.frames.length === sizes.length);
      await near.until((ear) => ear.frames.length === sizes.length);
      expect(far.frames.map((frame) => [frame.length, frame[0], frame.at(-1)])).toEqual(
        sizes.map((s, at) => [s, at, at]),
      );
      expect(near.frames.map((frame) => [frame.length, frame[0]])).toEqual(
        sizes.map((s, at) => [s, at + 100]),
      );
    });

    test("keeps what comes before start, and delivers nothing inside it (L2)", async () => {
      const { dialled, accepted } = await pair();
      dialled.start({ onFrame() {}, onWritable() {}, onClosed() {} });
      for (let i = 0; i < 10; i++) dialled.send(bytes(10, i));
      await settle();
      let early = 0;
      let started = false;
      const got: (number | undefined)[] = [];
      await new Promise<void>((resolve) => {
        accepted.start({
          onFrame: (frame) => {
            if (!started) early++;
            if (got.push(frame[0]) === 10) resolve();
          },
          onWritable() {},
          onClosed() {},
        });
        started = true;
      });
      expect(early).toBe(0);
      expect(got).toEqual([...Array(10).keys()]);
    });

    test("says no when the peer does not read, and yes again when it does", async () => {
      const { dialled, accepted } = await pair();
      const near = new Ear(dialled);
      const most = 64 * 1024 * 1024;
      let sent = 0;
      let more = true;
      for (; more && sent < most; sent++) {
        more = dialled.send(bytes(65_536, sent % 256));
        await Promise.resolve();
      }
      expect(more).toBe(false);
      // Windows may still take it up; a peer that reads nothing must stop it for good in the end.
      for (let quiet = 0; quiet < 3 && sent < 1_024; quiet++) {
        const before = near.writable;
        await settle(5);
        if (near.writable === before) continue;
        quiet = -1;
        while (dialled.send(bytes(65_536, sent++ % 256)) && sent < 1_024);
      }
      expect(sent).toBeLessThan(1_024);
      const said = near.writable;
      const far = new Ear(accepted);
      await far.until((ear) => ear.frames.length === sent);
      await near.until((ear) => ear.writable > said);
      expect(far.frames.map((frame) => frame[0])).toEqual([...Array(sent).keys()].map((i) => i % 256));
    });

    for (const who of ["dialled", "accepted"] as const) {
      test(`end by the ${who} side delivers what was taken, then closes both once and without a fault (L3)`, async () => {
        const ends = await pair();
        const ender = new Ear(ends[who]);
        const other = new Ear(who === "dialled" ? ends.accepted : ends.dialled);
        for (let i = 0; i < 20; i++) ends[who].send(bytes(20_000, i));
        ends[who].end();
        ends[who].end();
        await other.until((ear) => ear.closed.length > 0);
        await ender.until((ear) => ear.closed.length > 0);
        expect(other.frames.map((frame) => frame[0])).toEqual([...Array(20).keys()]);
        await settle();
        expect([ender.closed, other.closed]).toEqual([[undefined], [undefined]]);
        expect(ends[who].send(bytes(10, 0))).toBeTypeOf("boolean"); // and no throw
      });

      test(`abort by the ${who} side closes both once, the peer with a fault (L3)`, async () => {
        const ends = await pair();
        const aborter = new Ear(ends[who]);
        const other = new Ear(who === "dialled" ? ends.accepted : ends.dialled);
        ends[who].send(bytes(10, 1));
        await other.until((ear) => ear.frames.length === 1);
        ends[who].abort();
        ends[who].abort();
        await other.until((ear) => ear.closed.length > 0);
        await aborter.until((ear) => ear.closed.length > 0);
        await settle();
        expect([aborter.closed.length, other.closed.length]).toEqual([1, 1]);
        expect(other.closed[0]).toMatchObject({ name: "Fault" });
      });
    }

    test("a line that closed before start says so after it", async () => {
      const { dialled, accepted } = await pair();
      const near = new Ear(dialled);
      dialled.abort();
      await near.until((ear) => ear.closed.length === 1);
      await settle();
      const far = new Ear(accepted);
      await far.until((ear) => ear.closed.length === 1);
    });
  });
}

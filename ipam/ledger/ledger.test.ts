import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import type { Shape } from "../allocator/index.ts";
import { openLedger, type Ledger } from "./ledger.ts";

let dir: string;
const open: Ledger[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ipam-ledger-"));
});
afterEach(async () => {
  for (const ledger of open.splice(0)) await ledger.close();
  await rm(dir, { recursive: true });
});

const shape = (last: bigint, more: Partial<Shape> = {}): Shape => ({
  universe: [{ low: 0n, high: last }],
  ...more,
});

async function ledgerAt(clock = fakeClock()) {
  const ledger = await openLedger(join(dir, "ipam.db"), { clock, random: () => 0 });
  open.push(ledger);
  return { ledger, clock };
}

test("what was answered is there after a restart; who had it when is known", async () => {
  const { ledger, clock } = await ledgerAt();
  const scope = await ledger.scope("nodes", shape(9n));
  const givenAt = clock.now();
  expect(await scope.allocate({ owner: "u1", name: "c/a" })).toMatchObject({ value: 0n });
  await clock.advance(1_000);
  await scope.release("u1");
  await clock.advance(1_000);
  await scope.allocate({ owner: "u2", name: "c/b" });
  await ledger.close();

  const { ledger: again } = await ledgerAt(clock);
  const later = await again.scope("nodes", shape(9n));
  expect(later.heldBy("u2")).toBe(0n);
  expect(await later.holderAt(0n, givenAt + 500)).toMatchObject({ name: "c/a" });
  expect(await later.holderAt(0n, givenAt + 1_500)).toBeUndefined();
  expect((await later.history(0n)).map(({ name }) => name)).toEqual(["c/b", "c/a"]);
});

test("a rest goes on over a restart", async () => {
  const { ledger, clock } = await ledgerAt();
  const resting = shape(0n, { quarantineMs: 60_000 });
  const scope = await ledger.scope("nodes", resting);
  await scope.allocate({ owner: "u1" });
  await scope.release("u1");
  await ledger.close();
  await clock.advance(30_000);
  const { ledger: again } = await ledgerAt(clock);
  const later = await again.scope("nodes", resting);
  expect(await later.allocate({ owner: "u2" })).toMatchObject({ kind: "exhausted", resting: 1 });
  await clock.advance(30_000);
  expect(await later.allocate({ owner: "u2" })).toMatchObject({ value: 0n });
});

test("the table forbids what memory overlooked: of two on one file, one is refused and nothing is left", async () => {
  const [one, other] = [await ledgerAt(), await ledgerAt()];
  const [a, b] = [await one.ledger.scope("nodes", shape(9n)), await other.ledger.scope("nodes", shape(9n))];
  await a.allocate({ owner: "u1" });
  await expect(b.allocate({ owner: "u2" })).rejects.toMatchObject({ code: "AlreadyExists" });
  expect(b.heldBy("u2")).toBeUndefined();
  expect(await b.allocate({ owner: "u3" }, 5n)).toMatchObject({ value: 5n });
});

test("many at once share commits, and each gets its own", async () => {
  const { ledger } = await ledgerAt();
  const scope = await ledger.scope("nodes", shape(4_999n));
  const answers = await Promise.all(
    Array.from({ length: 5_000 }, (_, at) => scope.allocate({ owner: `u${at}` })),
  );
  expect(new Set(answers.map((answer) => (answer.kind === "given" ? answer.value : -1n))).size).toBe(5_000);
  expect(await scope.allocate({ owner: "late" })).toMatchObject({ kind: "exhausted", used: 5_000 });
});

/** A process that fills and releases, and tells each answer on standard output, until it is killed. */
const program = `
  import { openLedger } from ${JSON.stringify(new URL("./ledger.ts", import.meta.url).href)};
  const clock = { now: () => Date.now(), after: (ms, fire) => { const t = setTimeout(fire, ms); return () => clearTimeout(t); } };
  const ledger = await openLedger(process.argv[1], { clock, random: Math.random });
  const scope = await ledger.scope("nodes", { universe: [{ low: 0n, high: 9999n }] });
  const round = process.argv[2];
  console.log("ready");
  for (let at = 0; ; at++) {
    const owner = round + "-" + at;
    const work = scope.allocate({ owner }).then((answer) => {
      if (answer.kind === "given") console.log("given " + owner + " " + answer.value);
    });
    const back = at % 3 === 2 ? round + "-" + (at - 2) : undefined;
    const release = back ? scope.release(back).then(() => console.log("released " + back)) : undefined;
    if (at % 64 === 0) await Promise.all([work, release]);
  }
`;

const kills = Number(process.env["PCG_IPAM_KILLS"] ?? 2);

test(`killed at ${kills} random moments, what was answered is held, and nothing else beyond one try`, async () => {
  const path = join(dir, "killed.db");
  const held = new Map<string, string>();
  for (let round = 0; round < kills; round++) {
    const args = ["--import", "tsx", "--input-type=module", "-e", program, path, `r${round}`];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    const ready = new Promise<void>((resolve) => {
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        if (text.startsWith("ready")) resolve();
      });
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    await Promise.race([ready, ended]);
    await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 150));
    child.kill("SIGKILL");
    await ended;

    const told = text.slice(0, text.lastIndexOf("\n")).split("\n").slice(1);
    const released = new Set<string>();
    for (const line of told) {
      const [what = "", owner = "", value = ""] = line.split(" ");
      if (what === "given") held.set(owner, value);
      else released.add(owner);
    }
    for (const owner of released) held.delete(owner);
    const ledger = await openLedger(path, { clock: systemClock, random: () => 0 });
    const scope = await ledger.scope("nodes", shape(9_999n));
    const lost = [...held].filter(([owner, value]) => {
      const now = scope.heldBy(owner);
      // A release may have become durable without anybody having heard of it.
      return now === undefined
        ? owner.startsWith(`r${round}-`) && isThird(owner) === false
        : String(now) !== value;
    });
    expect(lost).toEqual([]);
    for (const owner of held.keys()) if (scope.heldBy(owner) === undefined) held.delete(owner);
    expect(scope.counts().duplicates).toBe(0);
    await ledger.close();
  }
}, 600_000);

/** Whether the program ever asks for this one's release. */
function isThird(owner: string): boolean {
  return Number(owner.slice(owner.indexOf("-") + 1)) % 3 === 0;
}

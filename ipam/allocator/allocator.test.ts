import { expect, test } from "vitest";
import { Allocator, type Claimant, type Shape } from "./allocator.ts";
import { blocksTouching, blocksWithin, networkOf } from "./blocks.ts";
import { randomBelow } from "./chance.ts";
import { strategies, type Strategy } from "./free-values.ts";
import { toSet } from "./intervals.ts";
import { Model, type ModelShape } from "./model.ts";

/** mulberry32: the same numbers for the same seed. */
function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const size = 48;
/** Both families, in the middle of their space and at its very ends; prefixes by their numbers (blocks.ts). */
const bases: readonly (readonly [string, bigint])[] = [
  ["IPv4", 0x0a000000n],
  ["IPv4 at the end", 2n ** 32n - BigInt(size)],
  ["IPv6", 0x20010db8n << 96n],
  ["IPv6 at the end", 2n ** 128n - BigInt(size)],
  ["prefixes of /64", 0x20010db8n << 32n],
  ["prefixes of /64 at the end", 2n ** 64n - BigInt(size)],
  ["prefixes at zero", 0n],
];

const operations = Number(process.env["PCG_IPAM_OPERATIONS"] ?? 1_000_000);

/** So many random operations on the allocator and on the model; throws where they differ. */
function compare(base: bigint, strategy: Strategy, count: number, seed: number): void {
  const random = numbers(seed);
  const below = (n: number) => Math.floor(random() * n);
  const at = (offset: number) => base + BigInt(offset);
  const shapes = (): { model: ModelShape; shape: Shape } => {
    const inside = new Set(Array.from({ length: size }, (_, i) => i).filter(() => random() < 0.85));
    const draining = new Set(
      [...inside].filter(() => random() < 0.08).concat(random() < 0.2 ? [below(size)] : []),
    );
    const quarantineMs = below(3) * 7;
    const stickyMs = below(3) * 20;
    const limit = below(3) === 0 ? 6 + below(12) : undefined;
    const set = (values: Iterable<number>) => toSet([...values].map((i) => ({ low: at(i), high: at(i) })));
    return {
      model: {
        inside: (i) => inside.has(i),
        draining: (i) => draining.has(i),
        strategy,
        quarantineMs,
        stickyMs,
        limit,
      },
      shape: {
        universe: set(inside),
        draining: set(draining),
        strategy,
        quarantineMs,
        stickyMs,
        quota: () => limit,
      },
    };
  };
  const first = shapes();
  const allocator = new Allocator(first.shape, random);
  const model = new Model(size, first.model);
  const owners: string[] = [];
  let now = 1_000;
  let serial = 0;
  const claimant = (): Claimant => ({
    owner: `uid-${++serial}`,
    ...(random() < 0.8 ? { name: `claim-${below(60)}` } : {}),
    groups: [`cluster ${below(4)}`, `namespace ${below(2)}`],
  });
  for (let step = 0; step < count; step++) {
    const where = `seed ${seed}, step ${step}`;
    const must = (have: unknown, want: unknown, what: string) => {
      if (have !== want) throw new Error(`${where}: ${what} is ${String(have)}, should be ${String(want)}`);
    };
    let announced: number[] = [];
    const lookAhead = () => {
      const many = 1 + below(20);
      announced = allocator.ahead(many).map((value) => Number(value - base));
      const free = model.next();
      const [have, want] =
        strategy === "random"
          ? [String(new Set(announced).size), String(Math.min(many, free.length))]
          : [announced.join(), free.slice(0, many).join()];
      must(have, want, "what comes next");
      must(announced.filter((value) => !free.includes(value)).join(), "", "what comes next and is not free");
      must(
        allocator
          .ahead(many)
          .map((value) => Number(value - base))
          .join(),
        announced.join(),
        "the same again",
      );
    };
    if (random() < 0.3) now += below(6);
    const dice = below(100);
    if (dice < 45) {
      const again = random() < 0.05 && owners.length > 0 ? owners[below(owners.length)] : undefined;
      const who = again ? { owner: again } : claimant();
      const wish = random() < 0.15 ? below(size) : undefined;
      const right = model.allowed(who, now, wish);
      if (random() < 0.3) {
        model.advance(now);
        allocator.advance(now);
        lookAhead();
      }
      const [next] = announced;
      const answer = allocator.allocate(who, now, wish === undefined ? undefined : at(wish));
      must(answer.kind === "refused" ? `refused ${answer.why}` : answer.kind, right.kind, "the answer");
      if (answer.kind === "given") {
        const got = Number(answer.value - base);
        if (!right.values?.includes(got))
          throw new Error(`${where}: gave ${got}, should be one of ${right.values?.join()}`);
        if (answer.by === "strategy" && next !== undefined) must(got, next, "what was given");
        if (answer.by !== "again") {
          model.bear(got, who);
          owners.push(who.owner);
        }
      }
    } else if (dice < 82) {
      const owner = owners.splice(below(owners.length), 1)[0];
      if (owner !== undefined) {
        model.release(owner, now);
        allocator.release(owner, now);
      }
    } else if (dice < 86) {
      model.advance(now);
      const who = claimant();
      const spot = below(size);
      model.bear(spot, who);
      allocator.hold(at(spot), who, now);
      owners.push(who.owner);
    } else if (dice < 91) {
      model.advance(now);
      allocator.advance(now);
      const spot = below(size);
      const name = `claim-${below(60)}`;
      const until = random() < 0.7 ? now + 1 + below(40) : undefined;
      must(allocator.reserve(at(spot), name, until), model.reserve(spot, name, until), "the reservation");
    } else if (dice < 94) {
      const spot = below(size);
      model.unreserve(spot);
      allocator.unreserve(at(spot));
    } else if (dice < 97) {
      model.advance(now);
      allocator.advance(now);
      const group = `cluster ${below(4)}`;
      const many = below(3) * 3;
      const until = random() < 0.7 ? now + 1 + below(40) : undefined;
      model.setAside(group, many, until);
      allocator.setAside(group, many, until);
    } else if (dice < 98) {
      model.advance(now);
      allocator.advance(now);
      const next = shapes();
      model.reshape(next.model);
      allocator.reshape(next.shape);
    } else {
      model.advance(now);
      allocator.advance(now);
      const have = allocator.counts();
      const want = model.counts();
      for (const [name, value] of Object.entries(want))
        must(String(have[name as keyof typeof have]), String(value), name);
    }
  }
}

const seed = Number(process.env["PCG_IPAM_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

for (const strategy of strategies)
  test(`behaves like a bitmap: ${strategy}, both families and prefixes, seed ${seed}`, () => {
    const each = Math.ceil(operations / strategies.length / bases.length);
    for (const [index, [, base]] of bases.entries()) compare(base, strategy, each, seed + index);
  }, 1_200_000);

const all = (last: bigint, more: Partial<Shape> = {}): Shape => ({
  universe: [{ low: 0n, high: last }],
  ...more,
});

test("random: every free value equally likely, also the ones behind a crowd", () => {
  const random = numbers(7);
  const counts = new Map<bigint, number>();
  const rounds = 40_000;
  const allocator = new Allocator(all(19n, { strategy: "random" }), random);
  for (let value = 2n; value < 12n; value++) allocator.hold(value, { owner: `crowd ${value}` }, 0);
  for (let i = 0; i < rounds; i++) {
    const answer = allocator.allocate({ owner: "one" }, 0);
    if (answer.kind === "given") counts.set(answer.value, (counts.get(answer.value) ?? 0) + 1);
    allocator.release("one", 0);
  }
  const expected = rounds / 10;
  const chiSquare = [...counts.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
  expect(counts.size).toBe(10);
  expect(chiSquare).toBeLessThan(27.9); // 9 degrees of freedom, one in a thousand
});

test("random: so it is with what was drawn ahead, though something comes free in between", () => {
  const random = numbers(11);
  const rounds = 40_000;
  const counts = [new Map<bigint, number>(), new Map<bigint, number>()];
  for (let i = 0; i < rounds; i++) {
    const allocator = new Allocator(all(9n, { strategy: "random" }), random);
    for (const value of [2n, 5n]) allocator.hold(value, { owner: `holder ${value}` }, 0);
    allocator.ahead(i % 9);
    allocator.release("holder 2", 0);
    allocator.ahead(i % 5);
    allocator.allocate({ owner: "wishes" }, 0, 7n);
    allocator.release("holder 5", 0);
    for (const [at, values] of counts.entries()) {
      const answer = allocator.allocate({ owner: `claim ${at}` }, 0);
      if (answer.kind === "given") values.set(answer.value, (values.get(answer.value) ?? 0) + 1);
    }
  }
  const expected = rounds / 9;
  for (const values of counts) {
    expect(values.size).toBe(9); // all but the one that was wished for
    const chiSquare = [...values.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(26.1); // 8 degrees of freedom, one in a thousand
  }
});

test("random: what was drawn ahead stays until it is given or taken, and is drawn anew where the pool grows", () => {
  const allocator = new Allocator(all(99n, { strategy: "random" }), numbers(5));
  const [first, second, ...others] = allocator.ahead(6) as [bigint, bigint, ...bigint[]];
  allocator.allocate({ owner: "wishes" }, 0, second);
  expect(allocator.ahead(5)).toEqual([first, ...others]);
  allocator.reshape(all(99n, { strategy: "random", quarantineMs: 5 })); // nothing more is free
  expect(allocator.ahead(5)).toEqual([first, ...others]);
  allocator.reshape(all(99n, { strategy: "random", draining: [{ low: first, high: first }] }));
  expect(allocator.ahead(4)).toEqual(others);
  allocator.reshape(all(2n ** 64n, { strategy: "random" }));
  expect(allocator.ahead(4)).not.toEqual(others);
});

test("random numbers stay below any limit and reach its upper half", () => {
  const random = numbers(3);
  for (const below of [1n, 2n, 3n, 2n ** 32n + 1n, 2n ** 64n, 2n ** 128n]) {
    const drawn = Array.from({ length: 100 }, () => randomBelow(below, random));
    expect(drawn.every((value) => value >= 0n && value < below)).toBe(true);
    if (below > 1n) expect(drawn.some((value) => value >= below / 2n)).toBe(true);
  }
});

test("least recently released: what rested longest comes first, and nothing used before what never was", () => {
  const allocator = new Allocator(all(3n, { strategy: "least-recently-released" }), () => 0);
  const give = (owner: string) => {
    const answer = allocator.allocate({ owner }, 0);
    return answer.kind === "given" ? answer.value : undefined;
  };
  expect([give("a"), give("b"), give("c")]).toEqual([0n, 1n, 2n]);
  allocator.release("b", 0);
  allocator.release("a", 0);
  expect([give("d"), give("e"), give("f"), give("g")]).toEqual([3n, 1n, 0n, undefined]);
});

test("an exhausted answer says what stands in the way, and when that ends", () => {
  const allocator = new Allocator(all(3n, { quarantineMs: 60 }), () => 0);
  allocator.allocate({ owner: "a" }, 0);
  allocator.allocate({ owner: "b" }, 0);
  allocator.release("b", 10);
  allocator.reserve(2n, "db");
  allocator.setAside("cluster c/x", 1);
  expect(allocator.allocate({ owner: "c" }, 20)).toEqual({
    kind: "exhausted",
    used: 1,
    resting: 1,
    reserved: 1,
    setAside: 1,
    nextAt: 70,
  });
  expect(allocator.allocate({ owner: "c" }, 70)).toMatchObject({ kind: "given", value: 1n });
});

test("a range may be drained: holders stay, and nothing of it is given out again", () => {
  const allocator = new Allocator(all(9n), () => 0);
  allocator.allocate({ owner: "a" }, 0);
  allocator.reshape(all(9n, { draining: [{ low: 0n, high: 4n }] }));
  expect(allocator.counts()).toMatchObject({ used: 1, draining: 1, free: 5n });
  expect(allocator.allocate({ owner: "b" }, 0)).toMatchObject({ value: 5n });
  allocator.release("a", 0);
  expect(allocator.counts()).toMatchObject({ draining: 0, free: 4n });
});

test("a full /16 answers at once, and a universe of 2^128 is no trouble", () => {
  const allocator = new Allocator({ universe: [{ low: 0n, high: 2n ** 128n - 1n }] }, () => 0.999);
  expect(allocator.allocate({ owner: "a" }, 0)).toMatchObject({ value: 0n });
  expect(allocator.allocate({ owner: "b" }, 0, 2n ** 127n)).toMatchObject({ value: 2n ** 127n });
  expect(allocator.counts().free).toBe(2n ** 128n - 2n);
});

test("blocks: those within a network, those that an exclusion touches", () => {
  const net = { low: 0x20010db8n << 96n, high: (0x20010db9n << 96n) - 1n };
  const within = blocksWithin(net, 64, 128);
  expect(within && within.high - within.low + 1n).toBe(2n ** 32n);
  expect(within && networkOf(within.low, 64, 128).low).toBe(net.low);
  const odd = { low: net.low + 1n, high: net.low + 2n ** 64n };
  expect(blocksWithin(odd, 64, 128)).toBeUndefined();
  expect(blocksTouching(odd, 64, 128)).toEqual({ low: net.low >> 64n, high: (net.low >> 64n) + 1n });
});

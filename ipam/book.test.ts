// What a process believes of a pool when others are faster, and answers slow.
import { describe, expect, test } from "vitest";
import type { Key, Means } from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import { inClusterIPPool, ipAddress, ipAddressClaim, type IPAddress, type IPAddressClaim } from "#proto";
import { Books } from "./books.ts";
import { addressDraft } from "./claim/act.ts";
import { claimDraft, poolDraft } from "./testing.ts";
import { placeOf } from "./words.ts";

/** The books of a process for a pool of two addresses, and how it hears of IPAddresses. */
async function process() {
  const clock = fakeClock();
  const store = memoryStore({ clock });
  const books = new Books({ clock, random: () => 0.5, kinds: [inClusterIPPool] });
  type Listener = (change: { type: string; object: IPAddress }) => void;
  let hear: Listener = () => {};
  const claims = new Map<string, IPAddressClaim>();
  const cache = (kind: unknown) => ({
    subscribe: (listener: Listener) => void (kind === ipAddress && (hear = listener)),
    get: ({ name }: Key) => claims.get(name),
  });
  books.begin({ cache, wake: () => {}, signal: new AbortController().signal } as unknown as Means);

  const pool = await store.create(inClusterIPPool, poolDraft({ addresses: ["10.0.0.10-10.0.0.11"] }));
  const place = placeOf(inClusterIPPool, pool);
  const terms = books.shape(place, pool);
  if (terms.kind !== "terms") throw new Error("the pool is wrong");
  const claim = (name: string) => store.create(ipAddressClaim, claimDraft(name));
  const make = (owner: IPAddressClaim, value: bigint) =>
    store.create(ipAddress, addressDraft(owner, place, pool, terms.write(value)));
  const first = 0x0a00000an;
  return {
    books,
    book: books.of(place),
    claim,
    make,
    first,
    hear: (type: string, object: IPAddress) => hear({ type, object }),
    claims,
  };
}

describe("an address offered here that another process gave to another claim", () => {
  test("is not borne twice: nobody has to give it back", async () => {
    const { book, claim, make, first, hear } = await process();
    const [ours, theirs] = [await claim("ours"), await claim("theirs")];
    expect(book.offer(ours)).toMatchObject({ kind: "given", value: first });
    hear("Added", await make(theirs, first));

    expect(book.sharers("c/theirs")).toEqual([]);
    expect(book.oddities().duplicates).toEqual([]);
    expect(book.counts()).toMatchObject({ used: 1, free: 1n, duplicates: 0 });
  });

  test("is borne twice once both have an IPAddress", async () => {
    const { book, claim, make, first, hear } = await process();
    const [ours, theirs] = [await claim("ours"), await claim("theirs")];
    book.offer(ours);
    hear("Added", await make(theirs, first));
    hear("Added", await make(ours, first));

    expect(book.sharers("c/theirs")).toEqual([{ namespace: "c", name: "ours" }]);
    expect(book.oddities().duplicates).toEqual(["10.0.0.10 (c/ours, c/theirs)"]);
    expect(book.counts()).toMatchObject({ used: 1, free: 1n, duplicates: 1 });
  });
});

test("an answer that comes after the IPAddress's end does not bring it back", async () => {
  const { books, book, claim, make, first, hear } = await process();
  const ours = await claim("ours");
  book.offer(ours);
  const made = await make(ours, first);
  hear("Added", made);
  hear("Deleted", made);
  books.answered(made);

  expect(book.counts()).toMatchObject({ used: 0, free: 2n });
});

describe("an IPAddress that ends", () => {
  async function bound() {
    const made = await process();
    const claim = await made.claim("ours");
    made.book.offer(claim);
    const address = await made.make(claim, made.first);
    made.hear("Added", address);
    const known = { ...claim, status: { addressRef: { name: "ours" } } };
    made.claims.set("ours", known);
    return { ...made, address, known };
  }

  test("while its claim counts on it keeps the address for the claim, until that is gone", async () => {
    const { books, book, claim, known, address, first, hear } = await bound();
    hear("Deleted", address);
    expect(book.offer(await claim("other"))).toMatchObject({ value: first + 1n });
    expect(book.offer(known)).toMatchObject({ value: first });
    books.settle({ namespace: "c", name: "ours" }, false);
    expect(book.offer(known)).toMatchObject({ value: first });
    books.forget({ namespace: "c", name: "ours" });
    expect(book.offer(await claim("third"))).toMatchObject({ value: first });
  });

  test("while another bears its address, too, leaves that to the other: so are duplicates ended", async () => {
    const { book, claim, make, known, address, first, hear } = await bound();
    hear("Added", await make(await claim("double"), first));
    hear("Deleted", address);
    expect(book.offer(known)).toMatchObject({ value: first + 1n });
    expect(book.oddities().duplicates).toEqual([]);
  });

  test.each<[string, { metadata?: object; status?: object }]>([
    ["deleted", { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } }],
    ["another of its name", { metadata: { uid: "other" } }],
    ["not told of it yet", { status: {} }],
  ])("with a claim that is %s frees the address", async (_, change) => {
    const { book, claim, claims, known, address, first, hear } = await bound();
    const now = { ...known, ...change, metadata: { ...known.metadata, ...change.metadata } };
    claims.set("ours", now as IPAddressClaim);
    hear("Deleted", address);
    expect(book.offer(await claim("other"))).toMatchObject({ value: first });
  });
});

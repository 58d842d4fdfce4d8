// Addresses: the allocator, the ledger on SQLite, claims on a real kube-apiserver, each beside the algorithms of the controllers it
// stands in for. `npm run bench -- ipam [PART...] [claims=10000] [addresses=65533] [kills=200]`: all parts unless told.
import type { Figure } from "./figure/limits.ts";

export async function* run(args: readonly string[] = []): AsyncGenerator<Figure> {
  const named = args.filter((arg) => !arg.includes("="));
  const text = (name: string) => args.find((arg) => arg.startsWith(`${name}=`))?.slice(name.length + 1);
  const told = (name: string, otherwise: number) => Number(text(name) ?? otherwise);
  const claims = told("claims", 10_000);
  const parts: Readonly<Record<string, () => Promise<AsyncGenerator<Figure>>>> = {
    /** The allocator and the ledger, and upstream's algorithms. */
    ledger: async () => (await import("./ipam/ledger.ts")).run(),
    /** Claims at once where one process leads: bound, looked at again, released. */
    kube: async () => (await import("./ipam/kube.ts")).run(claims),
    /** The same with two processes and no lead. */
    two: async () => (await import("./ipam/two.ts")).run(claims),
    /** A start with a pool that is full. */
    cold: async () => (await import("./ipam/cold.ts")).run(told("addresses", 65_533)),
    /** Machines with two cards. */
    cards: async () => (await import("./ipam/cards.ts")).run(),
    /** Sudden deaths on both stores, or on=sqlite, on=kubernetes. */
    kill: async () => (await import("./ipam/kill.ts")).run(told("kills", 200), claims, text("on") ?? "both"),
  };
  const strange = named.filter((part) => !(part in parts));
  if (strange.length > 0)
    throw new Error(`no part ${strange.join(", ")}: there are ${Object.keys(parts).join(", ")}`);
  for (const part of named.length > 0 ? named : Object.keys(parts)) yield* await parts[part]!();
}

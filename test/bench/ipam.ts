// Addresses: the allocator, the ledger on SQLite, claims at once on a real kube-apiserver, each beside the algorithms of the
// controllers it stands in for. `npm run bench -- ipam [ledger] [kube] [claims=10000]`: all parts unless told.
type Figure = Record<string, unknown>;

export async function* run(args: readonly string[] = []): AsyncGenerator<Figure> {
  const named = args.filter((arg) => !arg.includes("="));
  const wants = (part: string) => named.length === 0 || named.includes(part);
  const claims = Number(args.find((arg) => arg.startsWith("claims="))?.slice("claims=".length) ?? 10_000);
  if (wants("ledger")) yield* (await import("./ipam/ledger.ts")).run();
  if (wants("kube")) yield* (await import("./ipam/kube.ts")).run(claims);
}

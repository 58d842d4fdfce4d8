// The controllers in a process of their own, which its parent tells what claims to make and to drop, and may kill.
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { leases, runControllers, silentLogger, sqliteStore, systemClock } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { ipamControllers } from "#ipam";
import type { Told, Tells } from "./process.ts";
import { dropClaims, makeClaims, world } from "./site.ts";

const [kind, at = "", lead] = process.argv.slice(2);
const store =
  kind === "sqlite"
    ? await sqliteStore(at, { clock: systemClock })
    : await kubeStore(readFileSync(at, "utf8"), { clock: systemClock });
const deps = {
  store,
  clock: systemClock,
  log: silentLogger,
  random: Math.random,
  exclusive: lead === "lead",
};
const running = runControllers(deps, ipamControllers(deps), new AbortController().signal);
const tell = (what: Tells) => process.send?.(what);

process.on("message", (told: Told) => {
  void (async () => {
    if (told.do === "make") await makeClaims(store, told.names);
    if (told.do === "drop") await dropClaims(store, told.names);
    if (told.do !== "look") return;
    const reserved = (await store.list(leases, { namespace: "bench" })).items.length;
    tell({ is: "world", world: await world(store), reserved });
  })().catch((error: unknown) => tell({ is: "failed", why: String(error) }));
});
process.on("disconnect", () => process.exit(0));

await running.ready;
const readyMs = Math.round(performance.now());
const isBusy = () => running.health().some(({ due, working }) => due > 0 || working.length > 0);
tell({ is: "ready", readyMs, heapMiB: heap() });
while (isBusy()) await new Promise((resolve) => setTimeout(resolve, 20));
tell({ is: "quiet", quietMs: Math.round(performance.now()), heapMiB: heap() });

/** What is in use, not what waits to be collected. */
function heap(): number {
  globalThis.gc?.();
  return Math.round(process.memoryUsage().heapUsed / 2 ** 20);
}

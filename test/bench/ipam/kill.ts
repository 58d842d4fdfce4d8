// A process that is killed at random moments of a fill, then of a release, on both stores. Afterwards used = addresses = bound claims,
// and in the end nothing is left.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqliteStore, systemClock } from "#core";
import { inClusterIPPool, namespace } from "#proto";
import { Process } from "./process.ts";
import { namesOf, onSite, place, pool } from "./site.ts";
import type { Figure } from "../figure/limits.ts";

export async function* run(kills: number, claims: number, on: string): AsyncGenerator<Figure> {
  if (on !== "kubernetes") yield* onSqlite(kills, claims);
  if (on === "sqlite") return;
  yield* onSite(({ kube }) =>
    phases("Kubernetes", () => new Process("kube", kube.kubeconfigPath), kills, claims),
  );
}

async function* onSqlite(kills: number, claims: number): AsyncGenerator<Figure> {
  const dir = await mkdtemp(join(tmpdir(), "bench-ipam-"));
  try {
    const path = join(dir, "store.db");
    const store = await sqliteStore(path, { clock: systemClock });
    await store.create(namespace, { metadata: { name: place } });
    await store.create(inClusterIPPool, pool);
    await store.close();
    yield* phases("SQLite", () => new Process("sqlite", path), kills, claims);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function* phases(
  store: string,
  start: () => Process,
  kills: number,
  claims: number,
): AsyncGenerator<Figure> {
  const names = namesOf(claims);
  for (const what of ["make", "drop"] as const) {
    const began = Date.now();
    const rounds = Math.ceil(kills / 2);
    for (let round = 0; round < rounds; round++) {
      const child = start();
      await child.hear("ready");
      const upTo = Math.ceil(((round + 1) * claims) / rounds);
      const from = Math.ceil((round * claims) / rounds);
      // What the last one may have left undone, too.
      child.tell({ do: what, names: names.slice(Math.max(0, 2 * from - upTo), upTo) });
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_000));
      await child.kill();
    }
    const last = start();
    try {
      await last.hear("ready");
      last.tell({ do: what, names });
      yield {
        figure: `killed while claims ${what === "make" ? "came" : "went"}, ${store}`,
        kills: rounds,
        ...(await comesRight(last, what === "make" ? claims : 0)),
        ms: Date.now() - began,
        must: { isRight: { is: true } },
      };
    } finally {
      await last.kill();
    }
  }
}

/** Reservations that a dead process left are swept after a minute or two. */
async function comesRight(child: Process, count: number) {
  for (const deadline = Date.now() + 600_000; ;) {
    child.tell({ do: "look" });
    const { world, reserved } = await child.hear("world");
    const isRight = reserved === 0 && Object.values(world).every((each) => each === count);
    if (isRight || Date.now() > deadline) return { isRight, ...world, reserved };
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

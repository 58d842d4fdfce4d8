// From the versions that last ran here to those of the bundle.
//
//   U1. A bundle is never started on what a newer one has written: it does not know how to read it.
//   U2. Not too far at once: what is skipped may have been what rewrites stored objects.
//   U3. First a snapshot, which is kept apart from those on schedule. Without room for it nothing is upgraded.
//   U4. The versions are written down before the API server starts: whoever is killed after that finds the upgrade begun, and its snapshot
//       taken. A restore forgets them; the restored objects say themselves whose they are (install.ts, N4).
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { Fault } from "#core";
import type { Bundle } from "./bundle.ts";
import { writeDurably } from "./files.ts";
import type { Layout } from "./layout.ts";
import { listSnapshots } from "./snapshots.ts";

/** What decides whether data can be read. The four go together in a bundle. */
const versionsSchema = z.object({
  etcd: z.string(),
  kubernetes: z.string(),
  capi: z.string(),
  capv: z.string(),
});
export type Versions = z.infer<typeof versionsSchema>;

const parts = [
  /** Upstream's word on how many minor versions may be passed over: etcd and Kubernetes none, Cluster API two of them. */
  { part: "etcd", title: "etcd", steps: 1 },
  { part: "kubernetes", title: "Kubernetes", steps: 1 },
  { part: "capi", title: "Cluster API", steps: 3 },
  { part: "capv", title: "CAPV", steps: 3 },
] as const;

export function versionsOf({ programs }: Pick<Bundle, "programs">): Versions {
  return {
    etcd: programs.etcd.version,
    kubernetes: programs["kube-apiserver"].version,
    capi: programs["capi-core"].version,
    capv: programs.capv.version,
  };
}

export type Change =
  | { readonly kind: "none" }
  /** `changes`: "Cluster API 1.12.5 to 1.13.5". */
  | { readonly kind: "upgrade"; readonly changes: readonly string[] }
  | { readonly kind: "refused"; readonly problems: readonly string[]; readonly back: boolean };

/** What it means to run `to` where `from` ran. Pure. */
export function judgeChange(from: Versions, to: Versions): Change {
  const changed = parts
    .filter(({ part }) => from[part] !== to[part])
    .map(({ part, title, steps }) => ({
      text: `${title} ${from[part]} to ${to[part]}`,
      far: minorsBetween(from[part], to[part]),
      steps,
    }));
  if (changed.length === 0) return { kind: "none" };
  // A patch may be taken back: within a minor version everything is stored in one way.
  const back = changed.filter(({ far }) => far < 0);
  if (back.length > 0) return { kind: "refused", back: true, problems: back.map(({ text }) => text) };
  const skipped = changed.filter(({ far, steps }) => far > steps);
  const problems = skipped.map(
    ({ text, steps }) =>
      `${text} (at most ${steps === 1 ? "one minor version" : `${steps} minor versions`} at once)`,
  );
  if (problems.length > 0) return { kind: "refused", back: false, problems };
  return { kind: "upgrade", changes: changed.map(({ text }) => text) };
}

/** How many minor versions later; another major version is further than any step. */
function minorsBetween(from: string, to: string): number {
  const [major, minor] = numbers(from);
  const [toMajor, toMinor] = numbers(to);
  return (toMajor - major) * 1000 + toMinor - minor;
}

function numbers(version: string): [number, number] {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  return [major, minor];
}

/** The refusal in words, with what to do. `snapshot`: of before the last upgrade. */
export function refusal(
  change: Extract<Change, { readonly kind: "refused" }>,
  where: string,
  snapshot?: string,
): Fault {
  const what = change.problems.join(", ");
  return new Fault(
    "Invalid",
    change.back
      ? `${where} was last run by a newer bundle, which does not go back: ${what}. Install the newer gateway again` +
          (snapshot
            ? `, or give up what happened since the upgrade: pcg controlplane restore ${snapshot}`
            : ", or restore a snapshot of before the upgrade")
      : `${where} was last run by a bundle that is too old for this one: ${what}. ` +
          "Install a gateway of a version in between first, start it once, then this one",
  );
}

export type Turn = "same" | "fresh" | "upgrade";

/** What is about to happen in this data directory. Invalid when it must not (U1, U2). */
export async function expectUpgrade(
  layout: Layout,
  to: Versions,
): Promise<{ turn: Turn; changes: readonly string[] }> {
  const from = await readVersions(layout);
  if (!from) {
    // Nothing yet, restored, or of a gateway that did not write it down.
    const turn = existsSync(layout.begun) ? "upgrade" : "fresh";
    return { turn, changes: ["from versions that nobody wrote down"] };
  }
  const change = judgeChange(from, to);
  if (change.kind === "none") return { turn: "same", changes: [] };
  if (change.kind === "upgrade") return { turn: "upgrade", changes: change.changes };
  const [last] = await listSnapshots(layout.upgrades);
  throw refusal(change, `the control plane in ${layout.dataDir}`, last?.path);
}

async function readVersions({ versions }: Layout): Promise<Versions | undefined> {
  const text = await readFile(versions, "utf8").catch(() => undefined);
  return text === undefined ? undefined : parseVersions(text);
}

/** Undefined for what is no such text. Pure. */
export function parseVersions(text: string | undefined): Versions | undefined {
  try {
    return versionsSchema.safeParse(JSON.parse(text ?? "")).data;
  } catch {
    return undefined;
  }
}

/** U4 */
export async function writeVersions({ versions }: Layout, to: Versions): Promise<void> {
  await writeDurably(versions, `${JSON.stringify(to)}\n`);
}

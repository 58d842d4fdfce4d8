// The CRDs that are made from our kinds, on a real kube-apiserver: it takes them, and judges objects as our `admit` does, which is
// what the embedded store goes by. Each sample is taken by both, with the same defaults; of each sample's mutants both think alike.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { apiVersionOf, groupResource, type Kind, type Resource } from "#core";
import { inClusterIPPool, ipAddressClaim, spa, spectroCluster } from "#proto";
import { asker } from "./harness/ask.ts";
import { applyCrds } from "./harness/crds.ts";
import { startKube, type Kube } from "./harness/kube.ts";
import { mutantsOf } from "./harness/mutants.ts";
import { samples } from "./harness/samples.ts";

const folder = join(import.meta.dirname, "../../proto/generated/crds");
const crds = readdirSync(folder).map(
  (file) => parse(readFileSync(join(folder, file), "utf8")) as Record<string, unknown> & Resource,
);

const condition = {
  type: "Ready",
  status: "True",
  reason: "Done",
  message: "",
  lastTransitionTime: "2026-01-01T00:00:00Z",
};

const statuses: readonly (readonly [Kind, Readonly<Record<string, unknown>>])[] = [
  [inClusterIPPool, { ipAddresses: { total: 10, free: 4, used: 6, outOfRange: 0 } }],
  [ipAddressClaim, { addressRef: { name: "c" }, conditions: [condition] }],
  [
    spa,
    {
      state: "Provisioning",
      conditions: [condition],
      endpoint: { host: "10.0.0.9", port: 6443 },
      observedGeneration: 1,
    },
  ],
  [
    spectroCluster,
    { heartbeat: { version: "1", lastHeartbeat: "2026-01-01T00:00:00Z" }, conditions: [condition] },
  ],
];

let dir: string;
let kube: Kube;
let ask: ReturnType<typeof asker>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
  kube = await startKube({ dir, controllers: false });
  await applyCrds(kube, crds);
  ask = asker(kube);
});

afterAll(async () => {
  ask?.close();
  await kube?.stop();
  rmSync(dir, { recursive: true, force: true });
});

it("every generated CRD becomes Established, and there is a sample of every one", () => {
  const names = samples.map(([kind]) => groupResource(kind));
  expect(crds.map(({ metadata }) => metadata.name).sort()).toEqual([...new Set(names)].sort());
});

const whole = (
  kind: Kind,
  name: string,
  parts: Readonly<Record<string, unknown>>,
): Record<string, unknown> => ({
  apiVersion: apiVersionOf(kind),
  kind: kind.kind,
  metadata: { name, ...(kind.namespaced ? { namespace: "default" } : {}) },
  ...parts,
});

const pathOf = (kind: Kind, rest = "") =>
  `/apis/${apiVersionOf(kind)}/${kind.namespaced ? "namespaces/default/" : ""}${kind.plural}${rest}`;

/** What our side makes of an object: with defaults, or why not. */
function ours(kind: Kind, object: Record<string, unknown>): { object?: Resource; why?: string } {
  const verdict = kind.admit!(structuredClone(object) as unknown as Resource);
  if ("object" in verdict) return { object: verdict.object };
  return { why: verdict.problems.map(({ field, message }) => `${field}: ${message}`).join("; ") };
}

/** Undefined where both think alike; else who says what. */
function quarrel(
  name: string,
  why: string | undefined,
  status: number,
  message: unknown,
): string | undefined {
  const [weTake, theyTake] = [why === undefined, status < 300];
  if (weTake === theyTake) return undefined;
  return weTake
    ? `${name}: we take it, they say: ${String(message)}`
    : `${name}: they take it, we say: ${why}`;
}

describe.each(samples.map(([kind, parts]) => ({ name: kind.kind, kind, parts })))(
  "$name",
  ({ kind, parts }) => {
    it(`a ${kind.kind} is taken by both, with the same defaults`, async () => {
      const object = whole(kind, "sample", parts);
      const taken = await ask("POST", `${pathOf(kind)}?dryRun=All&fieldValidation=Strict`, object);
      expect(taken.status, String(taken.body["message"])).toBe(201);
      expect(ours(kind, object).object).toMatchObject({ spec: taken.body["spec"] });
      expect(taken.body["spec"]).toEqual((ours(kind, object).object as { spec?: unknown }).spec);
    });

    it(`of every mutant of a ${kind.kind} both think alike`, async () => {
      const mutants = mutantsOf(whole(kind, "sample", parts), "spec");
      const quarrels = await Promise.all(
        mutants.map(async ({ name, object }) => {
          const { status, body } = await ask(
            "POST",
            `${pathOf(kind)}?dryRun=All&fieldValidation=Strict`,
            object,
          );
          return quarrel(name, ours(kind, object as Record<string, unknown>).why, status, body["message"]);
        }),
      );
      expect(quarrels.filter((each) => each !== undefined)).toEqual([]);
      expect(mutants.length).toBeGreaterThan(3);
    });
  },
);

describe.each(statuses.map(([kind, status]) => ({ name: kind.kind, kind, status })))(
  "$name",
  ({ kind, status }) => {
    it(`of every mutant of a ${kind.kind}'s status both think alike`, async () => {
      const parts = samples.find(([each]) => each === kind)![1];
      const object = whole(kind, `status-of-${kind.singular}`, parts);
      const made = await ask("POST", pathOf(kind), object);
      expect(made.status, String(made.body["message"])).toBe(201);
      const write = (mutant: Readonly<Record<string, unknown>>) =>
        ask("PUT", `${pathOf(kind, `/status-of-${kind.singular}/status`)}?dryRun=All`, {
          ...made.body,
          status: mutant["status"],
        });
      const good = await write({ status });
      expect(good.status, String(good.body["message"])).toBe(200);
      const quarrels = await Promise.all(
        mutantsOf({ status }, "status").map(async ({ name, object: mutant }) => {
          const { status: code, body } = await write(mutant);
          return quarrel(name, ours(kind, { ...object, ...mutant }).why, code, body["message"]);
        }),
      );
      expect(quarrels.filter((each) => each !== undefined)).toEqual([]);
    });
  },
);

// Golden text: what a worker pool becomes. Set `rewrite` to true for one run after a change that is meant, and read the diff.
import { readFile, writeFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { stringify } from "yaml";
import type { Resource } from "#core";
import { desiredStateSchema } from "#proto";
import { workerPool } from "./worker-pool.ts";

const rewrite = false;

const spec = desiredStateSchema.parse({
  clusterUid: "u1",
  clusterName: "c1",
  cloud: { type: "vsphere", server: "vc.test", thumbprint: "AA:BB" },
  placement: {
    datacenter: "DC0",
    computeCluster: "DC0_C0",
    networkName: "VM Network",
    ipPoolRef: { name: "edge" },
  },
  kubernetesVersion: "v1.35.4",
  workerPools: [
    {
      name: "gpu",
      size: 2,
      instance: { numCPUs: 8, memoryMiB: 16384, diskGiB: 100 },
      labels: { "example.test/gpu": "yes" },
      taints: [{ key: "gpu", effect: "NoSchedule" }],
    },
  ],
});

it("a worker pool reads as written down", async () => {
  const objects = workerPool(spec, spec.workerPools[0]!, "/DC0/vm/t");
  const got = objects
    .map(({ object }) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }))
    .join("---\n");
  const path = new URL("testdata/worker-pool.yaml", import.meta.url);
  if (rewrite) await writeFile(path, got);
  expect(got).toBe(await readFile(path, "utf8"));
});

it("a worker pool's objects are what the kinds accept as they are", () => {
  for (const { kind, object } of workerPool(spec, spec.workerPools[0]!, "/DC0/vm/t")) {
    expect(kind.admit?.(object as Resource) ?? {}, object.metadata.name).not.toHaveProperty("problems");
  }
});

it("a pool keeps its template's name while its content stays, and changes it with the content", () => {
  const [pool] = spec.workerPools;
  const name = (change: object) =>
    workerPool(spec, { ...pool!, ...change }, "/DC0/vm/t")[0]!.object.metadata.name;
  expect(name({ size: 9 })).toBe(name({}));
  expect(name({ instance: { ...pool!.instance, memoryMiB: 8192 } })).not.toBe(name({}));
});

// The suite of Cluster API's controllers on the real ones: the recorded objects are what they write, and what the sandbox plays.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { cluster, clusterApiKinds, secret } from "#proto";
import { capiContract } from "#sandbox/capi/contract.ts";
import { eventually, everything } from "#sandbox/capi/testing.ts";
import { settleGolden, startSite, type Site } from "./machines/index.ts";

const dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
let site: Site;

beforeAll(async () => {
  site = await startSite({ dir, plainEtcd: true, knobs: { bareNodes: true } });
}, 300_000);

afterAll(async () => {
  await site?.end();
  rmSync(dir, { recursive: true, force: true });
});

const key = { namespace: "cluster-1", name: "c1" };

/** One site for all cases: each leaves it as it found it. */
async function clear(): Promise<void> {
  const { store } = site;
  if (await store.get(cluster, key)) await store.delete(cluster, key);
  await eventually("the cluster is gone", async () => !(await store.get(cluster, key)), 120_000);
  for (const kind of [...clusterApiKinds, secret])
    for (const { metadata } of (await store.list(kind, { namespace: key.namespace })).items)
      await store.delete(kind, { namespace: key.namespace, name: metadata.name }).catch(() => {});
  await eventually("nothing is left", async () => (await everything(store)).length === 0, 60_000);
}

const ourIpam = {
  object: /^VSphereVM\//,
  path: /^status\.conditions\[IPAddressClaimsFulfilled\]\.reason$/,
  why: "our claims report Ready, as the IPAM contract asks; the in-cluster provider's did not, and CAPV counted addresses instead",
};

capiContract(
  "real",
  async () => ({
    store: site.store,
    vmCount: async () => (await site.vcenter.machines()).length,
    wish: await settleGolden(site, { endpoint: { host: "127.31.2.1", port: 6443 }, giveEtcdKey: true }),
    end: clear,
  }),
  { withinMs: 120_000, exceptions: [ourIpam] },
);

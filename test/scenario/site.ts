// A whole site for a scenario: every part through its own door, in a folder that is gone afterwards.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jsonLogger, Secret, systemClock, type Logger } from "#core";
import { applyDocuments, readDocuments } from "../../cli/commands/apply.ts";
import { inSubnet, takeSubnet, type Subnet } from "../../cli/demo/subnet.ts";
import { startSite, type Site, type SiteDeps } from "../../cli/site.ts";
import { until } from "./until.ts";

export { until, untilState } from "./until.ts";

export interface TestSite extends Site {
  readonly folder: string;
  readonly subnet: Subnet;
  /** Log lines of all parts, for a test that fails and for looking for secrets. */
  readonly lines: string[];
  /** Pairs the gateway and waits until the plane knows its vCenter account. */
  pairUp(): Promise<void>;
  /** Applies examples/cluster.yaml, moved to this site's subnet, after `change`. Answers with the cluster's uid. */
  applySample(change?: (text: string) => string): Promise<string>;
}

export const testDeps = (lines: string[]): SiteDeps => ({
  clock: systemClock,
  log: (part): Logger => jsonLogger("info", (line) => void lines.push(line)).child({ part }),
  random: Math.random,
  version: "0.0.0-test",
  memory: () => process.memoryUsage.rss(),
});

/** A password that no log line may carry. */
export const testAccount = {
  username: "administrator@vsphere.local",
  password: new Secret("Th1s-is-never-said"),
};

/** Starts a site. Close it in any case. */
export async function testSite(
  signal: AbortSignal,
  gateway: Record<string, unknown> & { readonly jet?: Record<string, unknown> } = {},
): Promise<TestSite> {
  const folder = await mkdtemp(join(tmpdir(), "pcg-scenario-"));
  const subnet = await takeSubnet();
  const lines: string[] = [];
  const site = await startSite(
    testDeps(lines),
    {
      dataDir: folder,
      account: testAccount,
      gateway: { ...gateway, jet: { quiet: "300ms", watch: "500ms", ...gateway.jet } },
    },
    signal,
  );
  return {
    ...site,
    folder,
    subnet,
    lines,
    async pairUp() {
      const { pairingCode } = await site.client.pairingCode();
      await site.gateway.pair(pairingCode);
      await until(
        "the plane knows the vCenter account",
        async () => (await site.client.accounts()).length > 0,
      );
    },
    applySample: (change = (text) => text) => applySample(site, subnet, change),
    async close() {
      await site.close();
      await subnet.release();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function applySample(
  site: Pick<Site, "client" | "gateway">,
  subnet: Pick<Subnet, "prefix">,
  change: (text: string) => string = (text) => text,
): Promise<string> {
  const text = await readFile(join(import.meta.dirname, "../../examples/cluster.yaml"), "utf8");
  const documents = readDocuments(change(inSubnet(text, subnet)), "examples/cluster.yaml");
  const sides = { plane: async () => site.client, gateway: async () => site.gateway.store };
  let uid = "";
  for await (const applied of applyDocuments(documents, sides)) uid = applied.clusterUid ?? uid;
  return uid;
}

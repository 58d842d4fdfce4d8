// The life of a cluster in the sandbox; the same on the real programs is in test/peers.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Secret } from "#core";
import { lifeScenario, type LifeSite } from "./life.ts";
import { testAccount, testSite, type TestSite } from "./site.ts";

const template = "ubuntu-2204-kube-v1.35.4";

async function openSandbox(): Promise<LifeSite & { readonly site: TestSite }> {
  const site = await testSite(new AbortController().signal);
  const { vcenter } = site.datacenter;
  return {
    site,
    client: site.client,
    store: site.gateway.store,
    prefix: site.subnet.prefix,
    lines: site.lines,
    password: testAccount.password,
    knobs: {
      async showTemplate(there) {
        const [from, to] = there ? [`away`, template] : [template, `away`];
        vcenter.knobs.rename(from, to);
      },
      async setPassword(password) {
        vcenter.knobs.setPassword(password);
        vcenter.knobs.expireSessions();
      },
    },
    census: async () =>
      vcenter
        .vms()
        .filter((vm) => !vm.template)
        .map(({ name, biosUuid, ipAddress }) => ({ name, biosUUID: biosUuid, ipAddress })),
    pairUp: () => site.pairUp(),
    apply: (change) => site.applySample(change),
    close: () => site.close(),
  };
}

lifeScenario("life in the sandbox", openSandbox, {
  times: { startMs: 60_000, runningMs: 90_000, deletedMs: 90_000, sayMs: 30_000 },
  otherPassword: new Secret("An0ther-never-said"),

  whileRunning(life) {
    it("keeps the password sealed at rest", async () => {
      const password = testAccount.password.reveal();
      const encoded = Buffer.from(password).toString("base64");
      const files = await readdir(life().site.folder, { recursive: true, withFileTypes: true });
      const kept = files.filter((f) => f.isFile() && /(plane|gateway)$/.test(f.parentPath));
      expect(kept.length).toBeGreaterThan(5);
      for (const file of kept) {
        const bytes = await readFile(join(file.parentPath, file.name));
        expect(bytes.includes(password) || bytes.includes(encoded), file.name).toBe(false);
      }
    });
  },

  afterwards(life) {
    it("no API of a workload cluster answers any more", () => {
      expect(life().site.datacenter.machines.workloads()).toEqual([]);
    });
  },
});

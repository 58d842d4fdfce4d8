// The real site as a life of a cluster needs it: with knobs, and with a census of vcsim's machines.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { applyDocuments, readDocuments } from "../../../cli/commands/apply.ts";
import type { LifeSite } from "../../scenario/life.ts";
import { testDeps } from "../../scenario/site.ts";
import { until } from "../../scenario/until.ts";
import { samplePath, startRealSite, templateName, type RealSite } from "./real-site.ts";

export interface RealLife extends LifeSite {
  readonly site: RealSite;
}

/** Opens it, the gateway unpaired, in a folder that is gone afterwards. */
export async function openReal(): Promise<RealLife> {
  const folder = mkdtempSync(join(tmpdir(), "pcg-peers-"));
  const lines: string[] = [];
  const site = await startRealSite(
    testDeps(lines),
    { dataDir: folder, gateway: { jet: { quiet: "1s", watch: "5s" } } },
    new AbortController().signal,
  );
  const { client, vcenter } = site;
  const folderPath = "/DC0/vm/spectro-templates";
  return {
    site,
    client,
    store: site.gateway.store,
    prefix: "10.77.0.",
    lines,
    password: vcenter.password,
    knobs: {
      async showTemplate(there) {
        const [from, to] = there ? ["away", templateName] : [templateName, "away"];
        await vcenter.govc(["object.rename", `${folderPath}/${from}`, to]);
      },
      setPassword: (password) => vcenter.setPassword(password),
    },
    async census() {
      const found = await vcenter.govc(["find", "/DC0/vm", "-type", "m"]);
      const paths = found.split("\n").filter((path) => path !== "" && !path.startsWith(folderPath));
      if (paths.length === 0) return [];
      const { virtualMachines } = JSON.parse(await vcenter.govc(["vm.info", "-json", ...paths])) as {
        virtualMachines: readonly {
          readonly name: string;
          readonly config: { readonly uuid: string };
          readonly guest?: { readonly ipAddress?: string };
        }[];
      };
      return virtualMachines.map(({ name, config, guest }) => ({
        name,
        biosUUID: config.uuid,
        ipAddress: guest?.ipAddress,
      }));
    },
    async pairUp() {
      const { pairingCode } = await client.pairingCode();
      await site.gateway.pair(pairingCode);
      await until("the plane knows the vCenter account", async () => (await client.accounts()).length > 0);
    },
    async apply(change = (text) => text) {
      const sides = { plane: async () => client, gateway: async () => site.gateway.store };
      let uid = "";
      for await (const applied of applyDocuments(readDocuments(change(site.sample), samplePath), sides)) {
        uid = applied.clusterUid ?? uid;
      }
      return uid;
    },
    async close() {
      await site.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

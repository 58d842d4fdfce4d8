// What `pcg demo --real` opens.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { OpenDemoSite } from "../../../cli/demo/demo-site.ts";
import { inSubnet } from "../../../cli/demo/subnet.ts";
import { samplePath, startRealSite } from "./real-site.ts";

export const openRealDemo: OpenDemoSite = async (deps, { dataDir, file }, say, { cwd, signal }) => {
  const site = await startRealSite(deps, { dataDir, report: say }, signal);
  try {
    const sample =
      file === undefined
        ? { path: samplePath, text: site.sample }
        : {
            path: resolve(cwd, file),
            text: inSubnet(await readFile(resolve(cwd, file), "utf8"), site.subnet),
          };
    return { ...site, vcenter: `${site.vcenter.server} (vcsim)`, sample };
  } catch (error) {
    await site.close();
    throw error;
  }
};

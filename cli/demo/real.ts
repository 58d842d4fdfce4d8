// The demo on the real programs: etcd, kube-apiserver, Cluster API, CAPV and vcsim, which the peers' harness builds and starts. It lies
// with the tests, so it is there in a clone only; an installed pcg says so.
import { access } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Fault } from "#core";
import type { OpenDemoSite } from "./demo-site.ts";

const harness = join(import.meta.dirname, "../../test/peers/site/demo.ts");

/** Invalid outside a clone; what the harness throws where Go is missing. */
export const openRealSite: OpenDemoSite = async (deps, options, say, world) => {
  await access(harness).catch(() => {
    throw new Fault(
      "Invalid",
      "--real builds the real programs from source: run it in a clone of the repository, with Go 1.25 or newer",
    );
  });
  const { openRealDemo } = (await import(pathToFileURL(harness).href)) as { openRealDemo: OpenDemoSite };
  return openRealDemo(deps, options, say, world);
};

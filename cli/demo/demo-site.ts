// Where a demo is played.
import type { Site, SiteDeps } from "../site.ts";
import type { World } from "../world.ts";

/** What the demo needs of a site, played or real. */
export interface DemoSite extends Pick<Site, "plane" | "client" | "apiKey" | "gateway" | "close"> {
  /** For people: the vCenter's address and what it is. */
  readonly vcenter: string;
  /** The sample to apply, its addresses fit for this site. */
  readonly sample: { readonly path: string; readonly text: string };
}

/** How a kind of site is opened. `file` is what to apply instead of the site's own sample. */
export type OpenDemoSite = (
  deps: SiteDeps,
  options: { readonly dataDir: string; readonly file: string | undefined },
  say: (text: string) => void,
  world: Pick<World, "cwd" | "signal">,
) => Promise<DemoSite>;

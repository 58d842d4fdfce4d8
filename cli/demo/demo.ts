// pcg demo: the product's main job on one machine, through our own production code, from the plane to the pivoted cluster.
import { mkdtemp, mkdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { Fault, jsonLogger, sleep, type Logger } from "#core";
import type { ClusterStatusBody, PlaneClient } from "#plane";
import { applyDocuments, readDocuments } from "../commands/apply.ts";
import { writeContext } from "../context.ts";
import { startSite } from "../site.ts";
import { untilStopped } from "../until-stopped.ts";
import type { World } from "../world.ts";
import type { DemoSite, OpenDemoSite } from "./demo-site.ts";
import { logFile } from "./log-file.ts";
import { progressLines } from "./progress.ts";
import { openRealSite } from "./real.ts";
import { inSubnet, takeSubnet } from "./subnet.ts";

export interface DemoOptions {
  readonly once?: boolean;
  /** Real Kubernetes, Cluster API, CAPV and vcsim instead of the sandbox; from a clone, with Go. */
  readonly real?: boolean;
  readonly json?: boolean;
  readonly data?: string;
  readonly file?: string;
  readonly timeout: string;
}

export interface DemoSummary {
  readonly paired: boolean;
  readonly transport: string | undefined;
  readonly cluster: {
    readonly name: string;
    readonly state: string;
    readonly pivoted: boolean;
    readonly machines: readonly {
      name: string;
      role: string;
      ip: string | undefined;
      host: string | undefined;
    }[];
  };
  readonly durationMs: number;
}

const lookMs = 200;

/** Resolves when the cluster runs (`--once`), or when the signal came. Throws when the cluster does not come up in time. */
export async function demo(world: World, options: DemoOptions): Promise<void> {
  const { output, clock } = world;
  const timeoutMs = secondsOf(options.timeout);
  const say = (text: string) => {
    if (!options.json) output.line(text);
  };
  const startedAt = clock.now();
  const keep = options.data !== undefined || !options.once;
  const folder = keep
    ? resolve(world.cwd, options.data ?? ".pcg")
    : await mkdtemp(join(tmpdir(), "pcg-demo-"));
  const dataDir = join(folder, "demo");
  await rm(dataDir, { recursive: true, force: true }); // a simulated datacenter starts empty, so must its gateway
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const logs = await logFile(join(dataDir, "demo.log"));
  let site: DemoSite | undefined;
  try {
    const log = (part: string): Logger => jsonLogger("info", logs.write).child({ part });
    const open = options.real ? openRealSite : openSandboxSite;
    site = await open({ ...world, log }, { dataDir, file: options.file }, say, world);
    say(`plane     ${site.plane.url}`);
    say(`vCenter   ${site.vcenter}`);
    say(`gateway   ${site.gateway.apiUrl}`);
    const { pairingCode } = await site.client.pairingCode();
    const identity = await site.gateway.pair(pairingCode);
    say(`paired    with code ${pairingCode} as gateway ${identity.uid}\n`);
    await heartbeat(world, site.client);

    const { client, gateway, sample } = site;
    const documents = readDocuments(sample.text, relative(world.cwd, sample.path));
    const sides = { plane: async () => client, gateway: async () => gateway.store };
    let cluster: { uid: string; name: string } | undefined;
    for await (const applied of applyDocuments(documents, sides)) {
      say(applied.text);
      const { metadata } = applied.document as { metadata?: { name?: string } };
      if (applied.clusterUid) cluster = { uid: applied.clusterUid, name: metadata?.name ?? "" };
    }
    if (!cluster) throw new Fault("Invalid", `${sample.path} asks for no cluster`);
    const context = join(folder, "context.yaml");
    if (keep) {
      await writeContext(context, {
        plane: { url: site.plane.url, ca: site.plane.caPem, apiKey: site.apiKey.reveal() },
        gateway: { kubeconfig: gateway.kubeconfigPath ?? "" },
      });
    }
    say("");
    const status = await followCluster(world, client, cluster.uid, timeoutMs, say);
    const facts = await gateway.facts();
    const summary: DemoSummary = {
      paired: true,
      transport: facts.link?.state.kind === "connected" ? facts.link.state.transport : undefined,
      cluster: {
        name: cluster.name,
        state: status.state,
        pivoted: status.pivoted,
        machines: status.machines.map(({ name, role, ip, host }) => ({ name, role, ip, host })),
      },
      durationMs: clock.now() - startedAt,
    };
    if (options.json) output.line(JSON.stringify(summary, undefined, 2));
    else sayMachines(say, summary);
    if (options.once) return;
    say(lookAround(relative(world.cwd, gateway.kubeconfigPath ?? ""), cluster.name, context, world));
    await untilStopped(world.signal, async () => {});
  } catch (error) {
    if (!world.signal.aborted) output.note(`the log is in ${logs.path}`);
    throw error;
  } finally {
    await site?.close();
    await logs.close();
    if (!keep && !world.signal.aborted) await rm(folder, { recursive: true, force: true });
  }
}

const openSandboxSite: OpenDemoSite = async (deps, { dataDir, file }, _say, { cwd, signal }) => {
  const subnet = await takeSubnet();
  try {
    const path = resolve(cwd, file ?? join(import.meta.dirname, "../../examples/cluster.yaml"));
    const text = inSubnet(await readFile(path, "utf8"), subnet);
    const site = await startSite(deps, { dataDir }, signal);
    return {
      ...site,
      vcenter: `${site.datacenter.vcenter.server} (simulated)`,
      sample: { path, text },
      async close() {
        await site.close();
        await subnet.release();
      },
    };
  } catch (error) {
    await subnet.release();
    throw error;
  }
};

/** Waits for the gateway's first heartbeat: with it the plane knows the vCenter account. */
async function heartbeat({ clock, signal }: World, client: PlaneClient): Promise<void> {
  for (let tries = 0; (await client.accounts()).length === 0; tries++) {
    if (tries > 150)
      throw new Fault("TimedOut", "the gateway is paired, but no heartbeat of it reached the plane in 30 s");
    await sleep(clock, lookMs, signal);
  }
}

async function followCluster(
  { clock, signal, output }: World,
  client: PlaneClient,
  uid: string,
  timeoutMs: number,
  say: (text: string) => void,
): Promise<ClusterStatusBody> {
  const startedAt = clock.now();
  let before: ClusterStatusBody | undefined;
  for (;;) {
    const now = await client.clusterStatus(uid);
    const sinceMs = clock.now() - startedAt;
    for (const { sign, text } of progressLines(before, now, sinceMs)) {
      const mark = { done: output.style("green", "✓"), trouble: output.style("yellow", "!"), state: " " }[
        sign
      ];
      say(`${mark} ${text}`);
    }
    if (now.state === "Running") return now;
    if (sinceMs > timeoutMs) {
      const open = now.milestones.find((m) => m.state === "InProgress" || m.state === "Blocked");
      throw new Fault(
        "TimedOut",
        `the cluster is ${now.state} after ${timeoutMs / 1000} s, at "${open?.title ?? "?"}"${open?.lastError ? `: ${open.lastError.message}` : ""}`,
      );
    }
    before = now;
    await sleep(clock, lookMs, signal);
  }
}

function sayMachines(say: (text: string) => void, { cluster, durationMs }: DemoSummary): void {
  say(
    `\n${cluster.name} is ${cluster.state}, ${cluster.pivoted ? "manages itself" : "is managed by the gateway"}:`,
  );
  for (const { name, role, ip, host } of cluster.machines) {
    say(`  ${name.padEnd(28)} ${role.padEnd(14)} ${(ip ?? "").padEnd(16)} ${host ?? ""}`);
  }
  say(`\n${(durationMs / 1000).toFixed(1)} s in all, from an empty folder`);
}

function lookAround(kubeconfig: string, cluster: string, context: string, { cwd, output }: World): string {
  const contextFlag =
    relative(cwd, context) === ".pcg/context.yaml" ? "" : ` --context ${relative(cwd, context)}`;
  return [
    "",
    output.style("bold", "Look around, in another terminal:"),
    `  export KUBECONFIG=${kubeconfig}`,
    "  kubectl get spa -A",
    "  kubectl get inclusterippools,ipaddressclaims,ipaddresses -A",
    `  npx pcg status${contextFlag}`,
    `  npx pcg events ${cluster} --follow${contextFlag}`,
    `  npx pcg delete cluster ${cluster}${contextFlag}`,
    "",
    "Ctrl-C ends everything.",
  ].join("\n");
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds > 0) return seconds * 1000;
  throw new Fault("Invalid", `--timeout ${text}: a number of seconds was expected`);
}

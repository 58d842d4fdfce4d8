// The memory of a gateway, a process of its own as a site would run it, while it makes one cluster on the real programs.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault, systemClock } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { applyDocuments, readDocuments } from "../../../cli/commands/apply.ts";
import { endings } from "../../../cli/site.ts";
import { keepEtcdSecret, samplePath, startSurroundings } from "../../peers/site/real-site.ts";
import { childGateway, pcg } from "../../scenario/children.ts";
import { testDeps } from "../../scenario/site.ts";
import { until, untilState } from "../../scenario/until.ts";
import { lookBelow, totalOf, watchBelow, type ByProgram } from "./memory.ts";
import type { Figure } from "../figure/limits.ts";

/** `settleMs`: how long the gateway is left alone before the idle figure. */
export async function* provisioning(targetMiB: number, settleMs: number): AsyncIterable<Figure> {
  const dir = mkdtempSync(join(tmpdir(), "pcg-bench-"));
  const ending = endings();
  try {
    const report = (line: string) => console.error(line);
    const around = ending.own(
      await startSurroundings(testDeps([]), { dataDir: dir, report }, new AbortController().signal),
    );
    const { client } = around;
    const gateway = await childGateway(dir, {
      name: "real",
      ...around.settings,
      controlPlane: { mode: "embedded", programs: around.programs },
    });
    ending.own({ close: () => gateway.stop() });
    await gateway.start();
    const admin = readFileSync(join(dir, "gateway/control-plane/admin.kubeconfig"), "utf8");
    const store = ending.own(await kubeStore(admin, { clock: systemClock }));
    await keepEtcdSecret(store, around.etcd);
    const { pairingCode } = await client.pairingCode();
    const paired = await pcg(["gateway", "pair", pairingCode, "--config", gateway.configPath], dir);
    if (paired.code !== 0) throw new Fault("Unavailable", `pairing failed: ${paired.err}`);
    await until("the plane knows the vCenter account", async () => (await client.accounts()).length > 0);

    const pid = gateway.pid() ?? 0;
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    const row = (what: string, memory: ByProgram) => ({
      figure: `controlplane: memory, MiB (${what})`,
      ...rounded(memory),
      total: Math.round(totalOf(memory)),
      must: { total: { most: targetMiB } },
    });
    yield row("gateway and programs, idle", (await lookBelow(pid, "gateway")).memory);

    const began = performance.now();
    const making = (async () => {
      const sides = { plane: async () => client, gateway: async () => store };
      let uid = "";
      for await (const applied of applyDocuments(readDocuments(around.sample, samplePath), sides))
        uid = applied.clusterUid ?? uid;
      await untilState(client, uid, "Running", 600_000);
    })();
    const { peak, highest, cpu, looks } = await watchBelow(pid, "gateway", making);
    const tookMs = Math.round(performance.now() - began);
    yield { ...row("gateway and programs, peak while a cluster is made", peak), looks, tookMs };
    yield { figure: "controlplane: memory, MiB (each program's own highest)", ...rounded(highest) };
    yield { figure: "controlplane: processor seconds while a cluster is made", ...rounded(cpu) };
    yield row("gateway and programs, the cluster runs", (await lookBelow(pid, "gateway")).memory);
  } finally {
    await ending.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

function rounded(numbers: ByProgram): ByProgram {
  return Object.fromEntries(Object.entries(numbers).map(([name, number]) => [name, Math.round(number)]));
}

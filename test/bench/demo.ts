// The main job as three bundled programs: time of each milestone, memory of the gateway. Target: the gateway's resident memory ≤ 150 MB.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { planeClient } from "#plane";
import { parse } from "yaml";
import { takeSubnet } from "../../cli/demo/subnet.ts";
import { child, childGateway, freePort } from "../scenario/children.ts";
import { applySample, testDeps, until, untilState } from "../scenario/site.ts";
import type { Figure } from "./figure/limits.ts";

const targetMb = 150;

export async function* run(): AsyncGenerator<Figure> {
  const folder = await mkdtemp(join(tmpdir(), "pcg-bench-"));
  const subnet = await takeSubnet();
  const ports = [await freePort(), await freePort(), await freePort()];
  const plane = await child(
    [
      "plane",
      "--data-dir",
      "plane",
      "--listen",
      `127.0.0.1:${ports[0]}`,
      "--tunnel-listen",
      `127.0.0.1:${ports[1]}`,
    ],
    folder,
    "the plane is up",
  );
  const sandbox = await child(
    [
      "sandbox",
      "--data-dir",
      "sandbox",
      "--vcenter-listen",
      `127.0.0.1:${ports[2]}`,
      "--gateway-kubeconfig",
      "gateway/kubeconfig",
    ],
    folder,
    "simulated vCenter ready",
  );
  const started: { kill(): Promise<void> }[] = [plane, sandbox];
  try {
    await Promise.all([plane.start(), sandbox.start()]);
    const line = sandbox.lines
      .map((text) => JSON.parse(text) as Record<string, string>)
      .find((l) => l["thumbprint"]);
    const contextPath = join(folder, "plane/context.yaml");
    await until("the plane has written its context", () =>
      readFile(contextPath).then(
        () => true,
        () => false,
      ),
    );
    const { plane: at } = parse(await readFile(contextPath, "utf8")) as {
      plane: { url: string; ca: string; apiKey: string };
    };
    const client = planeClient({ url: at.url, ca: at.ca, apiKey: new Secret(at.apiKey) });
    await writeFile(join(folder, "password"), "sandbox");
    const { pairingCode } = await client.pairingCode();
    const gateway = await childGateway(folder, {
      plane: { url: at.url, pairingCode },
      vcenter: {
        server: line?.["server"],
        username: line?.["username"],
        passwordFile: "./password",
        thumbprint: line?.["thumbprint"],
      },
    });
    started.push(gateway);
    const startedAt = performance.now();
    await gateway.start();
    yield { bench: "demo", figure: "gateway start to ready", ms: Math.round(performance.now() - startedAt) };
    await until("the plane knows the vCenter account", async () => (await client.accounts()).length > 0);
    yield { bench: "demo", figure: "gateway idle memory", ...(await memory(gateway.pid() ?? 0)) };

    const store = await kubeStore(await readFile(gateway.kubeconfigPath, "utf8"), {
      clock: testDeps([]).clock,
    });
    const requestedAt = performance.now();
    const uid = await applySample({ client, gateway: { store } as never }, subnet);
    const running = await untilState(client, uid, "Running", 180_000);
    const totalMs = Math.round(performance.now() - requestedAt);
    let before = Date.parse(running.milestones[0]?.startedAt ?? "");
    for (const { title, endedAt } of running.milestones) {
      const ended = Date.parse(endedAt ?? "");
      yield { bench: "demo", figure: "milestone", title, seconds: Math.max(0, (ended - before) / 1000) };
      before = Math.max(before, ended);
    }
    yield { bench: "demo", figure: "request to running", ms: totalMs, machines: running.machines.length };
    const seen = await memory(gateway.pid() ?? 0);
    yield {
      bench: "demo",
      figure: "gateway memory with one cluster",
      ...seen,
      must: { peakMb: { most: targetMb } },
    };
    await store.close();
    await client.close();
  } finally {
    for (const program of started.reverse()) await program.kill();
    await subnet.release();
    await rm(folder, { recursive: true, force: true });
  }
}

async function memory(pid: number): Promise<{ residentMb: number; peakMb: number }> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const kib = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? NaN);
  return { residentMb: Math.round(kib("VmRSS") / 976.6), peakMb: Math.round(kib("VmHWM") / 976.6) };
}

// kill -9 of the gateway at each milestone: the cluster comes up all the same, nothing doubled.
import { mkdtemp, rm } from "node:fs/promises";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Fault, Secret, systemClock, type OwnedStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { spa } from "#proto";
import { openGrpcHub, planeClient, startPlane } from "#plane";
import { takeSubnet } from "../../cli/demo/subnet.ts";
import { attach, startSandbox } from "../../cli/site.ts";
import { childGateway } from "./children.ts";
import { applySample, testAccount, testDeps, until, untilState } from "./site.ts";

describe("a gateway that is killed", { timeout: 240_000 }, () => {
  const closers: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  it("at each milestone, starts again and ends with the same cluster, no machine or address doubled", async () => {
    const end = new AbortController();
    const lines: string[] = [];
    const deps = testDeps(lines);
    const { clock, random } = deps;
    const folder = await mkdtemp(join(tmpdir(), "pcg-kill-"));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    const subnet = await takeSubnet();
    closers.push(() => subnet.release());
    const plane = await startPlane(
      {
        dataDir: join(folder, "plane"),
        listen: { host: "127.0.0.1", port: 0 },
        tunnelListen: { host: "127.0.0.1", port: 0 },
      },
      { clock, log: deps.log("plane"), random, openHub: openGrpcHub },
      end.signal,
    );
    closers.push(() => plane.close());
    const client = planeClient({ url: plane.url, ca: plane.caPem, apiKey: plane.apiKey ?? new Secret("") });
    closers.push(() => client.close());
    const datacenter = await startSandbox(deps, {
      dataDir: join(folder, "sandbox"),
      listen: "127.0.0.1:0",
      account: testAccount,
    });
    closers.push(() => datacenter.close());
    const { pairingCode } = await client.pairingCode();
    const gateway = await childGateway(folder, {
      plane: { url: plane.url, pairingCode, heartbeat: "1s" },
      vcenter: {
        server: datacenter.vcenter.server,
        username: testAccount.username,
        password: testAccount.password.reveal(),
        thumbprint: datacenter.vcenter.thumbprint,
      },
      jet: { quiet: "300ms", watch: "500ms" },
    });
    closers.push(() => gateway.kill());
    await gateway.start();
    closers.push(await attach(datacenter, gateway.kubeconfigPath, deps));
    await until("the plane knows the vCenter account", async () => (await client.accounts()).length > 0);

    const store = await kubeStore(await readFile(gateway.kubeconfigPath, "utf8"), { clock });
    closers.push(() => store.close());
    const uid = await applySample({ client, gateway: { store } as never }, subnet);

    const killedAt: string[] = [];
    for (;;) {
      const milestone = await nextMilestone(store, uid, killedAt).catch((error: Error) => {
        throw new Error(
          [
            error.message,
            "the gateway's last words:",
            ...gateway.lines.slice(-40),
            "the sandbox's:",
            ...lines.slice(-40),
          ].join("\n"),
        );
      });
      if (milestone === "Running") break;
      await gateway.kill();
      killedAt.push(milestone);
      await gateway.start();
    }
    const running = await untilState(client, uid, "Running");

    expect(killedAt).toEqual(
      expect.arrayContaining(["CloudInfrastructureReady", "BootstrappingDone", "PivotCompleted"]),
    );
    expect(killedAt.length).toBeGreaterThanOrEqual(5); // the short ones may be over while the gateway starts
    expect(running.pivoted).toBe(true);
    expect(running.machines.length).toBe(5);
    expect(new Set(running.machines.map((m) => m.ip)).size).toBe(5);
    const vms = datacenter.vcenter.vms().filter((vm) => !vm.template && vm.name.startsWith("shop-1"));
    expect(vms.map((vm) => vm.name).sort()).toEqual(running.machines.map((m) => m.name).sort());
    expect(new Set(vms.map((vm) => vm.ipAddress)).size).toBe(5);

    const { items } = await client.clusterEvents(uid, { limit: 500 });
    expect(new Set(items.map((event) => event.metadata.uid)).size, "each event once").toBe(items.length);

    expect(await gateway.stop(), "milliseconds from SIGTERM to the end").toBeLessThan(5_000);
  });
});

/** Follows the cluster on the gateway until it works on a milestone at which it was not killed yet, or runs. */
async function nextMilestone(store: OwnedStore, uid: string, killedAt: readonly string[]): Promise<string> {
  const namespace = `cluster-${uid}`;
  const deadline = systemClock.now() + 60_000;
  let last = "";
  while (systemClock.now() < deadline) {
    const abort = AbortSignal.timeout(5_000);
    try {
      const { items, revision } = await store.list(spa, { namespace }, abort);
      const look = (object: (typeof items)[number]) => {
        const { milestones = [], state } = object.status ?? {};
        last = JSON.stringify(milestones.map((m) => [m.key, m.state, m.lastError?.message]));
        if (state === "Running") return "Running";
        return milestones.find((m) => m.state === "InProgress" && !killedAt.includes(m.key))?.key;
      };
      for (const item of items) {
        const found = look(item);
        if (found) return found;
      }
      for await (const event of store.watch(spa, { after: revision, namespace }, abort)) {
        const found = event.type === "Bookmark" ? undefined : look(event.object);
        if (found) return found;
      }
    } catch (error) {
      if (!["Unavailable", "Cancelled", "TimedOut", "Gone"].includes(Fault.from(error).code)) throw error;
    }
  }
  throw new Error(`killed at ${killedAt.join(", ")}; then the cluster went no further: ${last}`);
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger, systemClock, type OwnedStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { secret, secretText } from "#proto";
import { loadIdentity, saveIdentity } from "#tunnel/identity/index.ts";
import { testPki } from "#tunnel/test-pki.ts";
import { runAgent } from "./workload-program.ts";

const namespace = "cluster-u1";

describe("the program in a workload cluster", () => {
  let folder: string;
  let store: OwnedStore;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pcg-workload-"));
    store = memoryStore({ clock: systemClock });
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });

  /** Runs the program until `look` is content, then ends it. */
  async function runUntil(dataDir: string, look: () => Promise<boolean>): Promise<void> {
    const end = new AbortController();
    const env = { PCG_CLUSTER_UID: "u1", PCG_NAMESPACE: namespace };
    const deps = { clock: systemClock, log: silentLogger, random: Math.random, version: "1" };
    const running = runAgent({ store, env, files: {}, dataDir }, deps, end.signal);
    await expect.poll(look, { timeout: 10_000 }).toBe(true);
    end.abort();
    await running;
  }

  it("keeps its identity in the cluster, so that a pod on another node is the same agent", async () => {
    const pki = await testPki();
    const { cert, key, ca } = await pki.client("pcg://t1/agent/u1");
    const [first, second] = [join(folder, "node-1"), join(folder, "node-2")];
    await saveIdentity(first, {
      role: "agent",
      uid: "u1",
      tenantUid: "t1",
      planeUrl: "https://127.0.0.1:1",
      certificate: cert,
      privateKey: key,
      ca,
      tunnel: "127.0.0.1:1",
      signingKey: "",
    });
    const kept = () => store.get(secret, { namespace, name: "pcg-agent-identity" });
    await runUntil(first, async () => secretText(await kept(), "identity") !== undefined);
    expect((await kept())?.metadata.labels).toMatchObject({ "jet.pcg.dev/stays": "true" });

    await runUntil(second, async () => (await loadIdentity(second)) !== undefined);
    expect((await loadIdentity(second))?.privateKey.reveal()).toBe(key.reveal());
  });

  it("says what its pod lacks", async () => {
    const deps = { clock: systemClock, log: silentLogger, random: Math.random, version: "1" };
    const run = runAgent({ store, env: {}, files: {}, dataDir: folder }, deps, new AbortController().signal);
    await expect(run).rejects.toThrow(/PCG_CLUSTER_UID is missing/);
  });
});

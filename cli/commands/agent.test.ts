import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Secret, silentLogger, systemClock } from "#core";
import { selfSigned } from "#core/net/self-signed.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import { serveStore } from "#core/store/serve.ts";
import { allKinds, spaSpecSchema, spectroCluster } from "#proto";
import type { World } from "../world.ts";
import { agent, filesIn } from "./agent.ts";

const world = (env: World["env"], signal = new AbortController().signal): World => ({
  env,
  cwd: "/",
  clock: systemClock,
  random: Math.random,
  output: { interactive: false, line: () => {}, note: () => {}, style: (_, text) => text },
  log: silentLogger,
  logAt: () => silentLogger,
  memory: () => 0,
  signal,
  version: "9.9.9",
});

describe("pcg agent", () => {
  const closers: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  it("says where it belongs when it is not in a pod", async () => {
    await expect(agent(world({}))).rejects.toMatchObject({
      code: "Invalid",
      message: expect.stringMatching(/runs in a pod/) as string,
    });
  });

  it("works with what Kubernetes gives a pod: address, authority, token, a mounted Secret", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pcg-agent-"));
    closers.push(() => rm(folder, { recursive: true }));
    const paths = {
      serviceAccount: join(folder, "sa"),
      secret: join(folder, "secret"),
      data: join(folder, "data"),
    };
    const store = memoryStore({ clock: systemClock });
    const tls = await selfSigned(["127.0.0.1"], systemClock);
    const served = await serveStore(store, {
      kinds: allKinds,
      listen: { host: "127.0.0.1", port: 0 },
      tls: { cert: tls.certificate, key: tls.key },
      token: new Secret("the-pods-token"),
      log: silentLogger,
      clock: systemClock,
    });
    closers.push(() => served.close());
    for (const path of [paths.serviceAccount, paths.secret]) await mkdir(path);
    await writeFile(join(paths.serviceAccount, "ca.crt"), tls.certificate);
    await writeFile(join(paths.serviceAccount, "token"), "the-pods-token\n");
    await writeFile(join(paths.secret, "signingKey"), "KEY");
    const desired = spaSpecSchema.omit({ agent: true }).parse({
      clusterUid: "u1",
      clusterName: "c1",
      cloud: { type: "vsphere", server: "vc", credentialRef: { name: "x" } },
      placement: {
        datacenter: "DC0",
        computeCluster: "C0",
        networkName: "VM Network",
        ipPoolRef: { name: "nodes" },
      },
      kubernetesVersion: "v1.35.4",
    });
    await store.create(spectroCluster, {
      metadata: { name: "c1", namespace: "cluster-u1" },
      spec: { desired, counter: 1 },
    });

    const end = new AbortController();
    const env = {
      KUBERNETES_SERVICE_HOST: "127.0.0.1",
      KUBERNETES_SERVICE_PORT: String(served.port),
      PCG_CLUSTER_UID: "u1",
      PCG_NAMESPACE: "cluster-u1",
      PCG_POD_SERVICE_ACCOUNT_DIR: paths.serviceAccount,
      PCG_POD_SECRET_DIR: paths.secret,
      PCG_POD_DATA_DIR: paths.data,
    };
    const running = agent(world(env, end.signal));
    const beat = async () =>
      (await store.get(spectroCluster, { namespace: "cluster-u1", name: "c1" }))?.status?.heartbeat?.version;
    await expect.poll(beat, { timeout: 10_000 }).toBe("9.9.9");
    end.abort();
    await running;
  });

  it("reads a mounted Secret, past Kubernetes' own links in it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pcg-secret-"));
    closers.push(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, "..data"));
    await writeFile(join(folder, "planeUrl"), "https://plane");
    expect(await filesIn(folder)).toEqual({ planeUrl: "https://plane" });
  });
});

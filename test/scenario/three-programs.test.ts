// The same path as three programs, as a person would run them: config file, typed code, pcg and nothing else.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { inSubnet, takeSubnet } from "../../cli/demo/subnet.ts";
import { child, childGateway, freePort, pcg } from "./children.ts";
import { until } from "./site.ts";

describe("plane, sandbox and gateway as programs of their own", { timeout: 240_000 }, () => {
  const closers: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  it("pair by a typed code, build the sample cluster, and stop within five seconds", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pcg-three-"));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    const subnet = await takeSubnet();
    closers.push(() => subnet.release());
    const [planePort, tunnelPort, vcenterPort] = [await freePort(), await freePort(), await freePort()];

    const plane = await child(
      [
        "plane",
        "--data-dir",
        "plane",
        "--listen",
        `127.0.0.1:${planePort}`,
        "--tunnel-listen",
        `127.0.0.1:${tunnelPort}`,
      ],
      folder,
      "the plane is up",
    );
    closers.push(() => plane.kill());
    const sandbox = await child(
      [
        "sandbox",
        "--data-dir",
        "sandbox",
        "--vcenter-listen",
        `127.0.0.1:${vcenterPort}`,
        "--gateway-kubeconfig",
        "gateway/kubeconfig",
      ],
      folder,
      "simulated vCenter ready",
    );
    closers.push(() => sandbox.kill());
    await Promise.all([plane.start(), sandbox.start()]);
    const ready = sandbox.lines
      .map((line) => JSON.parse(line) as Record<string, string>)
      .find((line) => line["thumbprint"]);

    await writeFile(join(folder, "password"), "sandbox\n");
    const gateway = await childGateway(folder, {
      name: "frankfurt",
      plane: { url: `https://127.0.0.1:${planePort}`, ca: "./plane/ca.pem" },
      vcenter: {
        server: ready?.["server"],
        username: ready?.["username"],
        passwordFile: "./password",
        thumbprint: ready?.["thumbprint"],
      },
      jet: { quiet: "300ms", watch: "500ms" },
    });
    closers.push(() => gateway.kill());
    await until("the plane has written its context", async () =>
      readable(join(folder, "plane/context.yaml")),
    );
    await gateway.start();

    const env = { PCG_CONTEXT: "plane/context.yaml" };
    const code = await pcg(["plane", "code"], folder, env);
    expect(code.out.trim()).toMatch(/^([0-9A-Z]{4}-){3}[0-9A-Z]{4}$/);
    const typed = code.out.trim().toLowerCase().replaceAll("-", " ").replaceAll(" ", "-");
    const paired = await pcg(["gateway", "pair", typed, "--config", gateway.configPath], folder);
    expect(paired).toMatchObject({ code: 0, err: "" });
    const again = await pcg(
      ["gateway", "pair", "ZZZZ-ZZZZ-ZZZZ-ZZZZ", "--config", gateway.configPath],
      folder,
    );
    expect(again.code).not.toBe(0);

    const contextPath = join(folder, "plane/context.yaml");
    await writeFile(
      contextPath,
      `${await readFile(contextPath, "utf8")}\n${stringify({ gateway: { kubeconfig: "../gateway/kubeconfig" } })}`,
    );
    await until("the doctor finds all well but the missing pool", async () => {
      const { out } = await pcg(["doctor", "--json", "--config", gateway.configPath], folder);
      const { findings } = JSON.parse(out) as { findings: { check: string; state: string }[] };
      return findings.every(({ check, state }) => state === "ok" || check === "pools");
    });

    const sample = await readFile(join(import.meta.dirname, "../../examples/cluster.yaml"), "utf8");
    await writeFile(join(folder, "cluster.yaml"), inSubnet(sample, subnet));
    const applied = await pcg(["apply", "-f", "cluster.yaml"], folder, env);
    expect(applied).toMatchObject({ code: 0, err: "" });
    expect(applied.out).toMatch(/inclusterippool nodes created\ncluster shop-1 created/);

    await until(
      "the cluster runs",
      async () => {
        const { out } = await pcg(["get", "clusters", "-o", "json"], folder, env);
        const { items } = JSON.parse(out) as { items: { status: { state: string } }[] };
        return items[0]?.status.state === "Running";
      },
      120_000,
    );
    const events = await pcg(["events", "shop-1"], folder, env);
    expect(events.out).toMatch(/SEVERITY\s+REASON/);
    const status = await pcg(["status"], folder, env);
    expect(status.out).toMatch(/Connected\s+True/);
    expect(status.out).toMatch(/shop-1\s+Running/);
    const claims = await pcg(["get", "ipaddressclaims", "-A", "-o", "json"], folder, env);
    expect((JSON.parse(claims.out) as { items: unknown[] }).items.length).toBe(8); // the lease: five nodes and three

    for (const program of [gateway, sandbox, plane]) expect(await program.stop()).toBeLessThan(5_000);
  });
});

async function readable(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    () => false,
  );
}

// Mistakes that people make: each is told in words that can be acted on, where the person looks, and the path goes on once it is mended.
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Fault, getCondition, Secret } from "#core";
import { encode64, secret, spa } from "#proto";
import { modify } from "#core/store/helpers.ts";
import { planeClient, startPlane } from "#plane";
import { pair } from "#tunnel/identity/index.ts";
import { pcg } from "./children.ts";
import { testDeps, testSite, until, untilState, type TestSite } from "./site.ts";

describe("bad input", { timeout: 240_000 }, () => {
  const end = new AbortController();
  let site: TestSite;
  beforeAll(async () => {
    site = await testSite(end.signal);
  }, 60_000);
  afterAll(() => site.close());

  const named = (name: string, change: (text: string) => string) =>
    site.applySample((text) => change(text).replaceAll("shop-1", name));
  const theSpa = async (uid: string) =>
    (await site.gateway.store.list(spa, { namespace: `cluster-${uid}` })).items[0];

  /** The same words in the SPA's condition, and in the plane's API. */
  async function saysEverywhere(uid: string, condition: string, words: RegExp): Promise<void> {
    await until(`the SPA's ${condition} says ${words}`, async () => {
      const conditions = (await theSpa(uid))?.status?.conditions;
      const found = getCondition(conditions, condition);
      return found?.status === "False" && words.test(found.message);
    });
    await until(`the plane says ${words}`, async () => {
      const { conditions, milestones } = await site.client.clusterStatus(uid);
      const texts = [
        ...conditions.map((c) => c.message),
        ...milestones.map((m) => m.lastError?.message ?? ""),
      ];
      return texts.some((text) => words.test(text));
    });
  }

  it("an unknown pairing code is refused with what to do", async () => {
    const refused = await site.gateway
      .pair("AAAA-BBBB-CCCC-DDDD")
      .catch((error: unknown) => Fault.from(error));
    expect(refused).toBeInstanceOf(Fault);
    expect((refused as Fault).message).toMatch(/code/);
    expect((refused as Fault).message).toMatch(/new|make/);
    await site.pairUp();
  });

  it("a wrong datacenter and a wrong pool are told together, with what there is", async () => {
    const uid = await named("lost", (text) =>
      text.replace("datacenter: DC0", "datacenter: DC9").replace("default/nodes", "default/nodez"),
    );
    await saysEverywhere(uid, "SpecValid", /DC9.*there (is|are): DC0/s);
    await saysEverywhere(uid, "SpecValid", /nodez/);
    await site.client.deleteCluster(uid);
    await untilState(site.client, uid, "Deleted");
  });

  it("an address for the API where somebody answers already is told, and the cluster goes on when they are gone", async () => {
    const host = `${site.subnet.prefix}240`;
    const squatter = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      squatter.once("error", reject).listen(6443, host, resolve);
    });
    const uid = await named("taken", (text) =>
      text.replace("      type: VIP", `      type: VIP\n      host: ${host}`),
    );
    await saysEverywhere(
      uid,
      "SpecValid",
      new RegExp(`somebody answers at ${host.replaceAll(".", "\\.")}:6443`),
    );
    await new Promise((resolve) => squatter.close(resolve));
    await until("the cluster has left the mistake behind", async () => {
      const conditions = (await theSpa(uid))?.status?.conditions;
      return getCondition(conditions, "SpecValid")?.status === "True";
    });
    await site.client.deleteCluster(uid);
    await untilState(site.client, uid, "Deleted");
  });

  it("a wrong vCenter password is told as such, not tried over and over, and mended by the right one", async () => {
    site.datacenter.vcenter.knobs.setPassword(new Secret("changed-in-vcenter"));
    site.datacenter.vcenter.knobs.expireSessions();
    const before = site.datacenter.vcenter.knobs.calls("Login");
    const uid = await named("locked", (text) => text);
    await saysEverywhere(uid, "CredentialsValid", /user|password|log ?in/i);
    expect(site.datacenter.vcenter.knobs.calls("Login") - before).toBeLessThanOrEqual(4);
    const corrected = encode64("changed-in-vcenter");
    await modify(site.gateway.store, secret, { namespace: "pcg-system", name: "vcenter" }, (account) => ({
      ...account,
      data: { ...account.data, password: corrected },
    }));
    await until("the corrected password is taken up", async () => {
      const conditions = (await theSpa(uid))?.status?.conditions;
      return getCondition(conditions, "CredentialsValid")?.status === "True";
    });
    await site.client.deleteCluster(uid);
  });

  it("an expired pairing code is told as expired", async () => {
    const { clock, random, log } = testDeps([]);
    const dataDir = join(site.folder, "hasty-plane");
    const anywhere = { host: "127.0.0.1", port: 0 };
    const hasty = await startPlane(
      { dataDir, listen: anywhere, tunnelListen: anywhere, pairingTtlMs: 1 },
      { clock, random, log: log("plane") },
      end.signal,
    );
    const client = planeClient({ url: hasty.url, ca: hasty.caPem, apiKey: hasty.apiKey ?? new Secret("") });
    const { pairingCode, expiresAt } = await client.pairingCode();
    await until("the code has expired", async () => clock.now() > Date.parse(expiresAt) + 1_000);
    const args = {
      planeUrl: hasty.url,
      ca: hasty.caPem,
      code: pairingCode,
      dataDir: join(site.folder, "late"),
      clock,
      log: log("gateway"),
    };
    const refused = await pair(args).catch((error: unknown) => Fault.from(error));
    expect((refused as Fault).message).toMatch(/expired/);
    await client.close();
    await hasty.close();
  });

  it("a config with three mistakes is answered with all three, by the names the user wrote, and exit status 2", async () => {
    const config = join(site.folder, "wrong.yaml");
    await writeFile(
      config,
      "plane: { url: not-a-url, heartbeet: 5s }\nvcenter: { server: vc, username: u, password: p }\njet: { quiet: soon }\n",
    );
    const { code, err } = await pcg(["gateway", "--config", config], site.folder);
    expect(code).toBe(2);
    expect(err).toMatch(/plane\.url in .*wrong\.yaml/);
    expect(err).toMatch(/plane\.heartbeet.*heartbeat/);
    expect(err).toMatch(/jet\.quiet.*"soon"/);
  });

  it("a request with three mistakes is answered with all three, in the caller's words", async () => {
    const refused = await site.client
      .createCluster(
        {
          metadata: { name: "Not A Name" },
          spec: {
            cloudConfig: { placement: {} },
            machinepoolconfig: [{ poolConfig: { name: "w", size: 1 } }],
          },
        },
        site.gateway.identity()?.uid,
      )
      .catch((error: unknown) => Fault.from(error));
    expect(refused).toBeInstanceOf(Fault);
    const fields = (refused as Fault).problems.map((problem) => problem.field);
    expect(fields.length).toBeGreaterThanOrEqual(3);
    expect(fields.join(" ")).toMatch(/machinepoolconfig/);
    expect(fields.join(" ")).toMatch(/kubernetes-version/);
  });
});

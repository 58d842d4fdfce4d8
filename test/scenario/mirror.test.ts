// The copy of a cluster at its gateway: it comes over the agent's own link, past a plane that cannot read it, and follows the cluster.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { secretText } from "#proto";
import type { Mirrored } from "#jet";
import { testSite, until, untilState, type TestSite } from "./site.ts";

describe("a cluster's mirror", { timeout: 180_000 }, () => {
  const end = new AbortController();
  let site: TestSite;
  let uid: string;
  const latest = () => site.gateway.mirrors.latest(uid);

  beforeAll(async () => {
    site = await testSite(end.signal);
    await site.pairUp();
    uid = await site.applySample();
    await untilState(site.client, uid, "Running");
  }, 120_000);
  afterAll(() => site.close());

  it("reaches the gateway over the agent's link, with every machine", async () => {
    await until(
      "the mirror has all machines",
      async () => (await latest())?.objects.filter((o) => o.kind === "Machine").length === 5,
      90_000,
    );
    const mirror = (await latest())!;
    expect(mirror).toMatchObject({ clusterUid: uid, counter: 1, decision: { epoch: 1 } });
    expect(site.lines.some((line) => line.includes("took a mirror"))).toBe(true);
    expect(site.lines.filter((line) => line.includes("copying a cluster's objects"))).toEqual([]);
  });

  it("is read by nobody but the gateway: neither on the plane's disk, nor on its own, nor in a log", async () => {
    const secrets = secretValues((await latest())!);
    expect(secrets.length).toBeGreaterThan(3);
    const files = await readdir(site.folder, { recursive: true, withFileTypes: true });
    const kept = files.filter((f) => f.isFile() && /(plane|gateway)$/.test(f.parentPath));
    expect(kept.some((f) => f.name.startsWith("gateway.db"))).toBe(true);
    for (const file of kept) {
      const bytes = await readFile(join(file.parentPath, file.name));
      for (const value of secrets) expect(bytes.includes(value), file.name).toBe(false);
    }
    for (const value of secrets) expect(site.lines.filter((line) => line.includes(value))).toEqual([]);
  });

  it("is gone with its cluster, and does not come back", async () => {
    await site.client.deleteCluster(uid);
    await untilState(site.client, uid, "Deleted");
    expect(await latest()).toBeUndefined();
    expect(await site.gateway.mirrors.isForgotten(uid)).toBe(true);
  });
});

/** The private keys and tokens in it, as text and as base64. */
function secretValues({ objects }: Mirrored): string[] {
  return objects
    .filter((o) => o.kind === "Secret")
    .flatMap((o) => {
      const key = secretText(o as never, "tls.key");
      const value = secretText(o as never, "value");
      return [key, value].filter((text) => text !== undefined);
    })
    .flatMap((text) => [text.slice(60, 120), Buffer.from(text).toString("base64").slice(80, 160)])
    .filter((text) => text.length >= 40 && !text.includes("\n"));
}

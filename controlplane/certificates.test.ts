import { X509Certificate } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fakeClock } from "#core/time/fake-clock.ts";
import { needsRenewal, settleCertificates } from "./certificates.ts";
import { settleFolders, type Layout } from "./layout.ts";

const day = 86_400_000;
let dir: string;
let layout: Layout;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "pcg-pki-"));
  layout = await settleFolders(dir);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const files = () =>
  readdirSync(layout.pki, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name));
const contents = () => new Map(files().map((file) => [file, readFileSync(file, "utf8")]));

describe("certificates", () => {
  it("are kept from start to start, and nobody else can read them", async () => {
    const clock = fakeClock();
    await settleCertificates(layout, clock);
    const first = contents();
    expect(first.size).toBe(4 + 2 * 7);
    for (const file of files()) expect(statSync(file).mode & 0o077, file).toBe(0);
    await settleCertificates(layout, clock);
    expect(contents()).toEqual(first);
  });

  it("are made anew after two thirds of their life; authority and administrator stay", async () => {
    const clock = fakeClock();
    const certificates = await settleCertificates(layout, clock);
    const before = contents();
    await clock.advance(200 * day);
    expect(await certificates.renew()).toEqual([]);
    await clock.advance(50 * day);
    expect(await certificates.renew()).toHaveLength(6);
    const after = contents();
    const changed = [...after].filter(([file, text]) => before.get(file) !== text).map(([file]) => file);
    expect(changed.filter((file) => /ca\.|sa\.|admin|encryption/.test(file))).toEqual([]);
    expect(changed).toHaveLength(12);
    const ca = new X509Certificate(certificates.ca);
    for (const file of changed.filter((each) => each.endsWith(".crt"))) {
      const leaf = new X509Certificate(after.get(file)!);
      expect(leaf.verify(ca.publicKey)).toBe(true);
      expect(needsRenewal(after.get(file)!, clock.now())).toBe(false);
    }
  });

  it("a pair that a crash left half written is made anew, the authority's too", async () => {
    const clock = fakeClock();
    const first = await settleCertificates(layout, clock);
    copyFileSync(join(layout.pair("kcp"), "tls.key"), join(layout.pair("capv"), "tls.key"));
    await settleCertificates(layout, clock);
    expect(readFileSync(join(layout.pair("capv"), "tls.key"), "utf8")).not.toBe(
      readFileSync(join(layout.pair("kcp"), "tls.key"), "utf8"),
    );
    copyFileSync(join(layout.pair("kcp"), "tls.key"), join(layout.pki, "ca.key"));
    const second = await settleCertificates(layout, clock);
    expect(second.ca).not.toBe(first.ca);
    const ca = new X509Certificate(second.ca);
    for (const file of files().filter((each) => each.endsWith("tls.crt"))) {
      expect(new X509Certificate(readFileSync(file)).verify(ca.publicKey), file).toBe(true);
    }
  });
});

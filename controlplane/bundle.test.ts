import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openBundle, parseManifest, wrongVersions, type Manifest } from "./bundle.ts";
import { digestsOf } from "./digests.ts";
import { programNames, programVersions, providerNames, providers } from "./versions.ts";

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "pcg-bundle-"))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function put(file: string, text: string): { file: string; sha256: string } {
  const path = join(dir, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return { file, sha256: createHash("sha256").update(text).digest("hex") };
}

/** A small bundle with everything in it. */
function make(change: (manifest: Manifest) => void = () => {}): string {
  const manifest = {
    schema: 1,
    programs: Object.fromEntries(
      programNames.map((name) => [name, { version: programVersions[name], ...put(`bin/${name}`, name) }]),
    ),
    providers: Object.fromEntries(
      providerNames.map((name) => [
        name,
        {
          version: providers[name].version,
          crds: [put(`crds/${name}.yaml`, "---\nkind: A\n---\nkind: B\n---\n")],
          webhooks: [
            put(`webhooks/${name}.json`, '{"kind":"List","items":[{"kind":"C"},{"kind":"D"}]}'),
            put(`webhooks/${name}-more.json`, '{"kind":"E"}'),
          ],
        },
      ]),
    ),
  } as Manifest;
  change(manifest);
  writeFileSync(join(dir, "manifest.json"), JSON.stringify(manifest));
  return dir;
}

describe("a bundle", () => {
  it("is opened: programs by path, CRDs and webhooks as objects", async () => {
    const bundle = await openBundle(make());
    expect(bundle.programs.capv).toEqual({
      path: join(dir, "bin/capv"),
      version: providers.infrastructure.version,
    });
    expect(bundle.providers.core.crds.map(({ kind }) => kind)).toEqual(["A", "B"]);
    expect(bundle.providers.core.webhooks.map(({ kind }) => kind)).toEqual(["C", "D", "E"]);
  });

  it("tells of every damaged or missing file, and what to do", async () => {
    make();
    writeFileSync(join(dir, "bin/etcd"), "changed");
    rmSync(join(dir, "crds/core.yaml"));
    const fault = await openBundle(dir).catch((error: unknown) => error as Error);
    expect(fault).toMatchObject({
      code: "Invalid",
      problems: [{ field: "bin/etcd" }, { field: "crds/core.yaml" }],
    });
    expect((fault as Error).message).toMatch(
      /^the bundle .* cannot be used: bin\/etcd has SHA-256 .*; crds\/core\.yaml cannot be read .* Install the bundle/,
    );
  });

  it("that is not there names its manifest", async () => {
    await expect(openBundle(join(dir, "nowhere"))).rejects.toThrow(
      /nowhere cannot be used: manifest\.json cannot be read/,
    );
  });

  it("of other versions is told all of them", () => {
    const manifest = JSON.parse(readFileSync(join(make(), "manifest.json"), "utf8")) as Manifest;
    manifest.programs["kube-apiserver"].version = "1.34.0";
    manifest.providers.core.version = "1.12.0";
    expect(wrongVersions(manifest)).toEqual([
      { field: "kube-apiserver", message: "is version 1.34.0, and this gateway is made for 1.35.4" },
      { field: "provider core", message: "is version 1.12.0, and this gateway is made for 1.13.5" },
    ]);
  });

  it("whose program is a link out of it, or of no known schema, is refused", () => {
    const manifest = JSON.parse(readFileSync(join(make(), "manifest.json"), "utf8")) as Manifest;
    const bad = (change: (value: Manifest) => void) => {
      const copy = structuredClone(manifest);
      change(copy);
      return () => parseManifest("B", JSON.stringify(copy));
    };
    expect(bad((it) => (it.programs.etcd.file = "../../bin/sh"))).toThrow(
      "manifest.json: programs.etcd.file must lie inside the bundle",
    );
    expect(bad((it) => (it.schema = 2 as 1))).toThrow("manifest.json: schema must be 1");
    expect(bad((it) => delete (it.programs as Partial<Manifest["programs"]>).kcp)).toThrow(/programs\.kcp/);
    expect(() => parseManifest("B", "{")).toThrow(/manifest\.json is not JSON/);
  });
});

describe("remembered digests", () => {
  it("are not computed again, until the file is another", async () => {
    const memory = join(dir, "memory.json");
    const file = join(dir, "a");
    writeFileSync(file, "one");
    const first = await digestsOf([file], memory);
    // what was remembered is believed: put something else there to see that nobody looked
    const kept = readFileSync(memory, "utf8");
    const sha256 = (first[0] as { sha256: string }).sha256;
    writeFileSync(memory, kept.replace(sha256, "f".repeat(64)));
    expect(await digestsOf([file], memory)).toEqual([{ sha256: "f".repeat(64) }]);

    const { atime, mtime } = statSync(file);
    writeFileSync(file, "two"); // as long as before, and put back in time
    utimesSync(file, atime, mtime);
    const [second] = await digestsOf([file], memory);
    expect(second).not.toEqual(first[0]);
    expect(second).not.toEqual({ sha256: "f".repeat(64) });
  });

  it("a damaged memory is none", async () => {
    const memory = join(dir, "memory.json");
    writeFileSync(memory, "{");
    writeFileSync(join(dir, "a"), "one");
    expect(await digestsOf([join(dir, "a")], memory)).toEqual(await digestsOf([join(dir, "a")]));
  });
});

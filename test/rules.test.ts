// House rules that a compiler cannot keep: the direction of imports, one door per folder, who may touch the process.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");

const middle = ["core", "proto"];
/** For each folder, the folders it may import from besides itself. docs/ARCHITECTURE.md draws it. */
const mayImport: Record<string, readonly string[]> = {
  core: [],
  proto: ["core"],
  ipam: middle,
  tunnel: middle,
  vsphere: middle,
  jet: middle,
  controlplane: middle,
  agent: middle,
  sandbox: [...middle, "vsphere", "ipam"],
  gateway: [...middle, "ipam", "tunnel", "vsphere", "jet", "controlplane", "agent"],
  plane: [...middle, "tunnel"],
  cli: [
    ...middle,
    "ipam",
    "tunnel",
    "vsphere",
    "jet",
    "controlplane",
    "agent",
    "gateway",
    "plane",
    "sandbox",
  ],
};

interface Source {
  readonly path: string;
  readonly folder: string;
  readonly text: string;
}

function sourcesOf(folder: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes("/generated/"))
    .map((path) => ({ path: path.slice(root.length + 1), folder, text: readFileSync(path, "utf8") }));
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1] ?? "");
}

const sources = Object.keys(mayImport).flatMap(sourcesOf);
const isTest = (path: string) => /\.test\.ts$|testing\.ts$|contract\.ts$|\/test-/.test(path);

describe("house rules", () => {
  it("sees the sources at all", () => {
    expect(sources.length).toBeGreaterThan(150);
    for (const folder of Object.keys(mayImport)) {
      expect(sources.filter((s) => s.folder === folder).length, `files seen in ${folder}/`).toBeGreaterThan(
        1,
      );
    }
  });

  it("imports flow in one direction only", () => {
    const wrong = sources
      .filter((s) => !isTest(s.path))
      .flatMap(({ path, folder, text }) =>
        importsOf(text)
          .filter((name) => name.startsWith("#"))
          .map((name) => name.slice(1).split("/")[0] ?? "")
          .filter((to) => to !== folder && !mayImport[folder]?.includes(to))
          .map((to) => `${path} imports ${to}/`),
      );
    expect(wrong).toEqual([]);
  });

  it("no folder reaches into another by a relative path", () => {
    const wrong = sources.flatMap(({ path, folder, text }) =>
      importsOf(text)
        .filter((name) => name.startsWith("."))
        .map((name) => join(path, "..", name))
        .filter((target) => !target.startsWith(`${folder}/`) && target !== "package.json")
        .map((target) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it("only programs touch the process, the real clock and chance", () => {
    const allowed = /^(cli\/|core\/time\/clock\.ts$|core\/controller\/file-lock\.ts$)/;
    const wrong = sources
      .filter((s) => !allowed.test(s.path) && !isTest(s.path))
      .flatMap(({ path, text }) =>
        text
          .split("\n")
          .map((line, index) => ({ line: line.replace(/\/\/.*$|^\s*\*.*$/, ""), at: `${path}:${index + 1}` }))
          .filter(({ line }) =>
            /\bprocess\.(env|argv|exit|on|stdout|stderr|cwd)\b|\bDate\.now\(|\bMath\.random\(/.test(line),
          )
          .map(({ at }) => at),
      );
    expect(wrong).toEqual([]);
  });

  it("every top-level folder says what it is", () => {
    const silent = [...Object.keys(mayImport), "test"].filter(
      (folder) => !readdirSync(join(root, folder)).includes("README.md"),
    );
    expect(silent).toEqual([]);
  });
});

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

/** The files that a file imports, types too: "core/index.ts". */
function targetsOf(path: string, text: string): string[] {
  return importsOf(text.replace(/^\s*(\/\/|\*).*$/gm, "")).flatMap((name) => {
    if (name.startsWith(".")) return [join(path, "..", name)];
    if (!name.startsWith("#")) return [];
    return [name.endsWith(".ts") ? name.slice(1) : `${name.slice(1)}/index.ts`];
  });
}

/** The files of one circle, in order; none when there is no circle. */
function circleIn(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const clear = new Set<string>();
  function walk(path: string, way: readonly string[]): string[] {
    const at = way.indexOf(path);
    if (at >= 0) return way.slice(at);
    if (clear.has(path)) return [];
    for (const target of graph.get(path) ?? []) {
      const circle = walk(target, [...way, path]);
      if (circle.length > 0) return circle;
    }
    clear.add(path);
    return [];
  }
  for (const path of graph.keys()) {
    const circle = walk(path, []);
    if (circle.length > 0) return circle;
  }
  return [];
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

  it("no two files import each other, directly or round a corner", () => {
    const graph = new Map(sources.map(({ path, text }) => [path, targetsOf(path, text)]));
    expect(circleIn(graph)).toEqual([]);
    expect(circleIn(new Map([...graph, ["core/index.ts", ["cli/main.ts"]]]))).toContain("cli/main.ts");
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

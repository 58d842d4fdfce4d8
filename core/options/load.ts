// From flags, environment, file and OVF properties to one typed value, or to all mistakes at once.
//
//   P1. flags > environment > file > OVF properties > defaults of the caller > defaults of the schema.
//   P2. Every mistake is named in the words of the source in which it was made.
//   P3. A name nobody knows is a mistake; the nearest known one is offered. (The environment and OVF belong to others as well:
//       there only a name close to one of ours counts.)
//   P4. Empty text in the environment, an OVF property or the file's null is the same as absent.
//   P5. No secret is ever quoted in a mistake.
import { dirname } from "node:path";
import { Fault, type Problem } from "../fault.ts";
import { nearest } from "./nearest.ts";
import type { ParseContext } from "./parsers.ts";
import { leaves, type Group, type Infer, type Leaf } from "./schema.ts";

export interface Sources {
  /** Without the program's and the command's name. */
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** A parsed YAML or JSON file; `path` is what the user calls it. */
  readonly file?: { readonly path: string; readonly value: unknown };
  /** OVF properties by key. */
  readonly ovf?: Readonly<Record<string, string>>;
  /** Shaped like the file; what a command sets for itself. */
  readonly defaults?: Readonly<Record<string, unknown>>;
  /** For parsers that read files (secretFile); absent: such options are refused. */
  readonly readFile?: (path: string) => string;
  /** Relative paths in flags and environment count from here; left as they are unless told. */
  readonly cwd?: string;
  /** Flags of the caller's own (without dashes) that are skipped: whether each takes a value. */
  readonly ownFlags?: Readonly<Record<string, "value" | "switch">>;
  /** "PCG" unless told. */
  readonly envPrefix?: string;
}

export interface Loaded<T> {
  readonly kind: "loaded";
  readonly value: T;
  /** Where an option ("plane.url") came from, as its user knows it: "--plane-url", "PCG_PLANE_URL", "plane.url in gateway.yaml", "default". */
  readonly origin: (name: string) => string;
}

export interface Mistakes {
  readonly kind: "mistakes";
  readonly problems: readonly Problem[];
}

/** A value someone wrote, with the words for the place where it stands. */
interface Given {
  readonly raw: unknown;
  readonly where: string;
  readonly baseDir: string;
}

export function load<S extends Group>(schema: S, sources: Sources): Loaded<Infer<S>> | Mistakes {
  const { envPrefix = "PCG", cwd = "" } = sources;
  const known = leaves(schema, envPrefix);
  const problems: Problem[] = [];
  const inOrder = [
    fromArgv(known, sources.argv ?? [], sources.ownFlags ?? {}, cwd, problems),
    fromEnv(known, sources.env ?? {}, envPrefix, cwd, problems),
    sources.file ? fromFile(schema, known, sources.file, problems) : new Map<Leaf, Given>(),
    fromOvf(known, sources.ovf ?? {}, cwd),
    fromDefaults(schema, known, sources.defaults ?? {}, cwd),
  ];

  const value = {};
  const origins = new Map<string, string>();
  for (const leaf of known) {
    const given =
      inOrder.map((source) => source.get(leaf)).find((found) => found !== undefined) ?? // P1
      (leaf.option.default === undefined
        ? undefined
        : { raw: leaf.option.default, where: "default", baseDir: cwd });
    if (!given) {
      if (leaf.option.presence === "required") problems.push(missing(leaf, sources));
      continue;
    }
    const context: ParseContext = { baseDir: given.baseDir, readFile: sources.readFile ?? refuseToRead };
    const parsed = leaf.option.parser.parse(given.raw, context);
    if ("expected" in parsed) problems.push(wrong(leaf, given, parsed.expected));
    else {
      put(value, leaf.path, parsed.value);
      origins.set(leaf.name, given.where);
    }
  }
  if (problems.length > 0) return { kind: "mistakes", problems };
  fillGroups(schema, value);
  return {
    kind: "loaded",
    value: value as Infer<S>,
    origin: (name) => origins.get(name) ?? "not set",
  };
}

/** All mistakes as one Fault (Invalid), one line each. */
export function mistakesFault(problems: readonly Problem[]): Fault {
  const count = problems.length === 1 ? "a mistake" : `${problems.length} mistakes`;
  const lines = problems.map(({ field, message }) => `  ${field}: ${message}`);
  return new Fault("Invalid", `${count} in the configuration:\n${lines.join("\n")}`, { problems });
}

function wrong(leaf: Leaf, given: Given, expected: string): Problem {
  const shown = leaf.option.parser.secret ? "" : `, got ${JSON.stringify(given.raw)}`; // P5
  return { field: given.where, message: `expected ${expected}${shown}` };
}

function missing(leaf: Leaf, { file }: Sources): Problem {
  const ways = [leaf.flag, leaf.env, file ? `${leaf.name} in ${file.path}` : `${leaf.name} in a config file`];
  const [first = leaf.name, ...others] = ways.filter((way) => way !== undefined);
  return { field: first, message: `is required: ${leaf.option.about.help} (or ${others.join(", or ")})` };
}

function fromArgv(
  known: readonly Leaf[],
  argv: readonly string[],
  own: Readonly<Record<string, "value" | "switch">>,
  cwd: string,
  problems: Problem[],
): Map<Leaf, Given> {
  const found = new Map<Leaf, Given>();
  const byFlag = new Map(known.map((leaf) => [leaf.flag, leaf]));
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (!word.startsWith("--") || word === "--") {
      problems.push({ field: word, message: "is not an option; options look like --name value" });
      continue;
    }
    const equals = word.indexOf("=");
    const flag = equals < 0 ? word : word.slice(0, equals);
    const inline = equals < 0 ? undefined : word.slice(equals + 1);
    const ownKind = Object.hasOwn(own, flag.slice(2)) ? own[flag.slice(2)] : undefined;
    if (ownKind !== undefined) {
      if (ownKind === "value" && inline === undefined) at++;
      continue;
    }
    const negated = flag.startsWith("--no-") ? byFlag.get(`--${flag.slice(5)}`) : undefined;
    const leaf = byFlag.get(flag) ?? (negated?.option.parser.flag ? negated : undefined);
    if (!leaf) {
      const hint = nearest(flag, [...byFlag.keys(), ...Object.keys(own).map((name) => `--${name}`)]);
      problems.push({ field: flag, message: unknown("option", hint) }); // P3
      continue;
    }
    let raw: unknown = inline;
    if (leaf.option.parser.flag) raw = inline ?? leaf.flag === flag;
    else if (inline === undefined) {
      const next = argv[at + 1];
      if (next === undefined || next.startsWith("--")) {
        problems.push({ field: flag, message: `needs a value: ${flag} ${leaf.option.parser.placeholder}` });
        continue;
      }
      raw = next;
      at++;
    }
    const before = found.get(leaf);
    if (leaf.option.parser.many && before) raw = [...(before.raw as unknown[]), raw];
    else if (leaf.option.parser.many) raw = [raw];
    found.set(leaf, { raw, where: leaf.flag, baseDir: cwd });
  }
  return found;
}

function fromEnv(
  known: readonly Leaf[],
  env: Readonly<Record<string, string | undefined>>,
  prefix: string,
  cwd: string,
  problems: Problem[],
): Map<Leaf, Given> {
  const found = new Map<Leaf, Given>();
  const names = new Set<string>();
  for (const leaf of known) {
    if (leaf.env === undefined) continue;
    names.add(leaf.env);
    const raw = env[leaf.env];
    if (raw !== undefined && raw !== "") found.set(leaf, { raw, where: leaf.env, baseDir: cwd }); // P4
  }
  for (const name of Object.keys(env)) {
    if (!name.startsWith(`${prefix}_`) || names.has(name) || (env[name] ?? "") === "") continue;
    const hint = nearest(
      name.slice(prefix.length + 1),
      [...names].map((n) => n.slice(prefix.length + 1)),
    );
    const meant = hint === undefined ? undefined : `${prefix}_${hint}`;
    if (meant !== undefined && (env[meant] ?? "") === "")
      problems.push({ field: name, message: unknown("variable", meant) }); // P3
  }
  return found;
}

function fromFile(
  schema: Group,
  known: readonly Leaf[],
  file: { readonly path: string; readonly value: unknown },
  problems: Problem[],
): Map<Leaf, Given> {
  const found = new Map<Leaf, Given>();
  const byName = new Map(known.map((leaf) => [leaf.name, leaf]));
  const place = (path: readonly string[]) => `${path.join(".")} in ${file.path}`;
  const walk = (group: Group, value: unknown, path: readonly string[]) => {
    if (value === undefined || value === null) return; // P4
    if (typeof value !== "object" || Array.isArray(value)) {
      const field = path.length === 0 ? file.path : place(path);
      const names = Object.keys(group.members).join(", ");
      problems.push({ field, message: `expected a group with ${names}, got ${describe(value)}` });
      return;
    }
    for (const [name, inner] of Object.entries(value)) {
      const here = [...path, name];
      const member = Object.hasOwn(group.members, name) ? group.members[name] : undefined;
      if (!member) {
        const hint = nearest(name, Object.keys(group.members));
        const elsewhere = known.find((leaf) => leaf.path.at(-1) === name)?.name;
        const meant = hint === undefined ? elsewhere : [...path, hint].join(".");
        problems.push({ field: place(here), message: unknown("setting", meant) }); // P3
      } else if (member.kind === "group") walk(member, inner, here);
      else if (inner !== null && inner !== undefined) {
        const leaf = byName.get(here.join("."));
        if (leaf) found.set(leaf, { raw: inner, where: place(here), baseDir: dirname(file.path) });
      }
    }
  };
  walk(schema, file.value, []);
  return found;
}

function fromOvf(
  known: readonly Leaf[],
  ovf: Readonly<Record<string, string>>,
  cwd: string,
): Map<Leaf, Given> {
  const found = new Map<Leaf, Given>();
  for (const leaf of known) {
    const raw = leaf.option.about.ovf === undefined ? undefined : ovf[leaf.name];
    if (raw !== undefined && raw !== "")
      found.set(leaf, { raw, where: `${leaf.name} in the OVF properties`, baseDir: cwd });
  }
  return found;
}

function fromDefaults(
  schema: Group,
  known: readonly Leaf[],
  defaults: Readonly<Record<string, unknown>>,
  cwd: string,
): Map<Leaf, Given> {
  const slips: Problem[] = [];
  const found = fromFile(schema, known, { path: "the defaults", value: defaults }, slips);
  if (slips[0]) throw new Fault("Bug", `${slips[0].field}: ${slips[0].message}`);
  return new Map([...found].map(([leaf, given]) => [leaf, { ...given, baseDir: cwd, where: "default" }]));
}

function unknown(what: string, hint: string | undefined): string {
  return hint === undefined ? `no such ${what}` : `no such ${what}; did you mean ${hint}?`;
}

function describe(value: unknown): string {
  return Array.isArray(value) ? "a list" : JSON.stringify(value);
}

function put(into: object, path: readonly string[], value: unknown): void {
  const [name = "", ...rest] = path;
  const record = into as Record<string, unknown>;
  if (rest.length === 0) record[name] = value;
  else put((record[name] ??= {}) as object, rest, value);
}

/** Groups are there even when none of their optional members is. */
function fillGroups(group: Group, value: object): void {
  const record = value as Record<string, unknown>;
  for (const [name, member] of Object.entries(group.members))
    if (member.kind === "group") fillGroups(member, (record[name] ??= {}) as object);
}

function refuseToRead(path: string): string {
  throw new Fault("Invalid", `${path} cannot be read here`);
}

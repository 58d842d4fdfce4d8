// The faces of a schema for people and programs: help, reference page, JSON Schema, OVF properties.
import type { Problem } from "../fault.ts";
import { leaves, type Group, type Leaf, type Option } from "./schema.ts";

/** The options as a help text shows them, `width` columns wide (100 unless told). */
export function helpText(schema: Group, width = 100): string {
  const rows = leaves(schema).map((leaf) => [usage(leaf), sentence(leaf)] as const);
  const indent = Math.min(40, Math.max(...rows.map(([left]) => left.length)) + 4);
  return rows
    .map(([left, right]) => {
      const lines = wrap(right, Math.max(20, width - indent));
      const head = `  ${left}`;
      const first = head.length + 2 > indent ? [head] : [head.padEnd(indent) + (lines.shift() ?? "")];
      return [...first, ...lines.map((line) => " ".repeat(indent) + line)].join("\n");
    })
    .join("\n");
}

function usage(leaf: Leaf): string {
  return leaf.option.parser.flag ? leaf.flag : `${leaf.flag} ${leaf.option.parser.placeholder}`;
}

function sentence({ option, env }: Leaf): string {
  const notes = [
    ...(option.presence === "required" ? ["required"] : []),
    ...(option.default ? [`default ${option.default}`] : []),
    ...(env === undefined ? [] : [env]),
  ];
  return `${option.about.help}${notes.length > 0 ? ` (${notes.join("; ")})` : ""}`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** The reference page: one table per group, Markdown. */
export function referencePage(schema: Group, title: string): string {
  const parts = [
    `# ${title}`,
    "Precedence: flag, environment, file, OVF property, default. Mistakes are reported all at once.",
  ];
  const sections = new Map<string, Leaf[]>();
  for (const leaf of leaves(schema)) {
    const section = leaf.path.slice(0, -1).join(".");
    sections.set(section, [...(sections.get(section) ?? []), leaf]);
  }
  for (const [section, members] of sections) {
    if (section !== "") parts.push(`## ${section}`);
    const help = groupAt(schema, section)?.help;
    if (help !== undefined) parts.push(help);
    parts.push(
      [
        "| in the file | flag | environment | value | default | meaning |",
        "| --- | --- | --- | --- | --- | --- |",
        ...members.map(row),
      ].join("\n"),
    );
  }
  return `${parts.join("\n\n")}\n`;
}

function row({ name, flag, env, option }: Leaf): string {
  const standard = option.presence === "required" ? "required" : option.default ? code(option.default) : "";
  const cells = [
    code(name),
    code(flag),
    env === undefined ? "" : code(env),
    code(option.parser.placeholder),
    standard,
    option.about.help,
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

const code = (text: string) => `\`${text}\``;

function groupAt(schema: Group, section: string): Group | undefined {
  let at: Group | Option | undefined = schema;
  for (const name of section === "" ? [] : section.split("."))
    at = at?.kind === "group" ? at.members[name] : undefined;
  return at?.kind === "group" ? at : undefined;
}

/** A JSON Schema (2020-12) of the file, for editors. Nothing is required: flags or variables may set it instead. */
export function jsonSchema(schema: Group, title: string): Record<string, unknown> {
  const node = (member: Group | Option): Record<string, unknown> =>
    member.kind === "group"
      ? {
          type: "object",
          ...(member.help === undefined ? {} : { description: member.help }),
          additionalProperties: false,
          properties: Object.fromEntries(
            Object.entries(member.members).map(([name, inner]) => [name, node(inner)]),
          ),
        }
      : {
          ...member.parser.json,
          description: member.about.help,
          ...(member.default === undefined || member.parser.secret
            ? {}
            : { default: jsonDefault(member.default, member.parser.json) }),
        };
  return { $schema: "https://json-schema.org/draft/2020-12/schema", title, ...node(schema) };
}

function jsonDefault(text: string, json: Readonly<Record<string, unknown>>): unknown {
  if (json["type"] === "boolean") return text === "true";
  if (json["type"] === "integer") return Number(text);
  if (json["type"] === "array") return text === "" ? [] : text.split(",");
  return text;
}

/** One property of an OVF product section (DSP0243 9.5). */
export interface OvfProperty {
  readonly key: string;
  readonly type: "string" | "boolean" | "int";
  readonly label: string;
  readonly description: string;
  readonly password: boolean;
  readonly default: string | undefined;
}

/** The options that have an OVF label. */
export function ovfProperties(schema: Group): OvfProperty[] {
  return leaves(schema).flatMap(({ name, option }) => {
    const label = option.about.ovf;
    if (label === undefined) return [];
    const json = option.parser.json["type"];
    const type =
      json === "boolean" ? ("boolean" as const) : json === "integer" ? ("int" as const) : ("string" as const);
    return [
      {
        key: name,
        type,
        label,
        description: option.about.help,
        password: option.parser.secret ?? false,
        default: option.default,
      },
    ];
  });
}

/** The same as XML, for the product section of an OVF descriptor. */
export function ovfXml(schema: Group): string {
  return ovfProperties(schema)
    .map(({ key, type, label, description, password, default: standard }) =>
      [
        `<Property ovf:key="${xml(key)}" ovf:type="${type}" ovf:userConfigurable="true"${password ? ' ovf:password="true"' : ""}${standard === undefined ? "" : ` ovf:value="${xml(standard)}"`}>`,
        `  <Label>${xml(label)}</Label>`,
        `  <Description>${xml(description)}</Description>`,
        `</Property>`,
      ].join("\n"),
    )
    .join("\n");
}

function xml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** Mistakes, one a line, for a terminal. */
export function problemLines(problems: readonly Problem[]): string {
  return problems.map(({ field, message }) => `${field}: ${message}`).join("\n");
}

// Reads vim25 SOAP as a stream: XML events in, typed values out; no tree of the document is ever built.
//   R1. A DOCTYPE, nesting beyond a limit, or text that is not well-formed ends the reading. No entity but XML's own five.
//   R2. xsi:type wins over the declared type where the table knows it; a type it does not know is kept as Tagged.
//   R3. An array is an array, with one element or with none.
//   R4. A field of a known type that the table does not list is skipped without being built.
import { SaxesParser, type SaxesTagPlain } from "saxes";
import { Fault } from "#core";
import { dataFields, isEnum, isScalar, type Field, type Fields } from "./table.ts";
import type { Tagged } from "./types.ts";

/** What a SOAP message said. */
export interface Message {
  /** Name of the element in the Body: "Login", "LoginResponse", "Fault". */
  readonly name: string;
  readonly value: Readonly<Record<string, unknown>>;
  /** Text of the header's elements by name. */
  readonly header: Readonly<Record<string, string>>;
}

export interface ReaderOptions {
  /** The fields of a Body element, by its name; undefined for one that is not expected. */
  readonly fields: (name: string) => Fields | undefined;
  /** 128 unless told. */
  readonly maxDepth?: number;
}

export interface MessageReader {
  /** Takes the next piece of text. Throws Fault Unavailable on anything but well-formed XML. */
  write(text: string): void;
  /** The message, once all text is in. */
  end(): Message;
}

const none: readonly never[] = Object.freeze([]);
const faultFields: Fields = new Map<string, Field>([
  ["faultcode", { type: "string", many: false, optional: true }],
  ["faultstring", { type: "string", many: false, optional: true }],
  ["detail", { type: "any", many: false, optional: true }],
]);

type Frame =
  | {
      readonly kind: "object";
      readonly type: string;
      readonly fields: Fields;
      readonly value: Record<string, unknown>;
    }
  | { readonly kind: "leaf"; readonly scalar: string; text: string }
  | { readonly kind: "ref"; readonly type: string; text: string }
  | { readonly kind: "list"; readonly element: string; readonly items: unknown[] }
  | {
      readonly kind: "tagged";
      readonly type: string;
      text: string;
      fields: Record<string, unknown[]> | undefined;
    }
  | { readonly kind: "skip" };

const skip: Frame = { kind: "skip" };

export function messageReader(options: ReaderOptions): MessageReader {
  const maxDepth = options.maxDepth ?? 128;
  const parser = new SaxesParser<{ xmlns: false; position: false }>({ xmlns: false, position: false });
  const path: string[] = [];
  const frames: Frame[] = [];
  const names: string[] = [];
  const header: Record<string, string> = {};
  let message: { name: string; value: Record<string, unknown> } | undefined;
  let failure: Error | undefined;

  const refuse = (why: string): void =>
    void (failure ??= new Fault("Unavailable", `unreadable SOAP message: ${why}`));

  parser.on("error", (error) => refuse(error.message));
  parser.on("doctype", () => refuse("it has a DOCTYPE")); // R1
  parser.on("opentag", (tag) => {
    if (failure) return;
    const name = local(tag.name);
    path.push(name);
    if (path.length > maxDepth) return refuse(`nested deeper than ${maxDepth}`);
    const top = frames.at(-1);
    if (top) return push(name, childFrame(top, name, tag));
    if (path.length === 1 && name !== "Envelope") return refuse(`<${name}> is no SOAP envelope`);
    if (path.length !== 3) return;
    if (path[1] === "Header") return push(name, { kind: "leaf", scalar: "string", text: "" });
    if (path[1] !== "Body") return;
    if (message) return refuse("its Body has more than one element");
    const fields = name === "Fault" ? faultFields : options.fields(name);
    if (!fields) return refuse(`<${name}> was not expected`);
    const value: Record<string, unknown> = {};
    message = { name, value };
    push(name, { kind: "object", type: "", fields, value });
  });
  parser.on("text", (text) => {
    const top = frames.at(-1);
    if (top && "text" in top) top.text += text;
  });
  parser.on("cdata", (text) => {
    const top = frames.at(-1);
    if (top && "text" in top) top.text += text;
  });
  parser.on("closetag", () => {
    if (failure) return;
    path.pop();
    const frame = frames.pop();
    const name = names.pop();
    if (!frame || name === undefined || frame.kind === "skip") return;
    const value = finish(frame);
    const parent = frames.at(-1);
    if (parent) attach(parent, name, value);
    else if (frame.kind === "leaf") header[name] = frame.text;
  });

  function push(name: string, frame: Frame): void {
    names.push(name);
    frames.push(frame);
  }

  function check(): void {
    if (failure) throw failure;
  }

  return {
    write(text) {
      check();
      parser.write(text);
      check();
    },
    end() {
      check();
      parser.close();
      check();
      if (!message) throw new Fault("Unavailable", "unreadable SOAP message: its Body is empty");
      return { ...message, header };
    },
  };
}

function childFrame(parent: Frame, name: string, tag: SaxesTagPlain): Frame {
  if (parent.kind === "skip") return skip;
  const declared = declaredType(parent, name);
  if (declared === undefined) return skip; // R4
  const { xsi, refType, nil } = attributes(tag);
  if (nil) return skip;
  return frameOf(xsi ?? declared, declared, refType);
}

function declaredType(parent: Exclude<Frame, { kind: "skip" }>, name: string): string | undefined {
  switch (parent.kind) {
    case "object":
      return parent.fields.get(name)?.type;
    case "list":
      return parent.element;
    case "tagged":
      return "any";
    case "leaf":
    case "ref":
      return undefined;
  }
}

const maybeLeaf = new Set(["anyURI", "base64Binary", "integer", "decimal", "unsignedInt", "unsignedLong"]);

function frameOf(type: string, declared: string, refType: string | undefined): Frame {
  if (isScalar(type)) return { kind: "leaf", scalar: type, text: "" };
  if (isEnum(type) || maybeLeaf.has(type)) return { kind: "leaf", scalar: "string", text: "" };
  if (type === "ref" || type === "ManagedObjectReference")
    return { kind: "ref", type: refType ?? "", text: "" };
  if (type.startsWith("ArrayOf")) return { kind: "list", element: elementType(type.slice(7)), items: [] };
  const fields = dataFields(type);
  if (fields) return { kind: "object", type, fields, value: { $type: type } };
  if (type === "any" || type === "anyType") return { kind: "tagged", type: "", text: "", fields: undefined };
  const base = dataFields(declared); // R2: an unknown subtype keeps its name and what its base has
  if (base) return { kind: "object", type, fields: base, value: { $type: type } };
  return { kind: "tagged", type, text: "", fields: undefined };
}

/** ArrayOfString holds strings, ArrayOfInt ints; other names are the types themselves. */
function elementType(name: string): string {
  if (name === "ManagedObjectReference") return "ref";
  if (name === "AnyType") return "any";
  const scalar = name.charAt(0).toLowerCase() + name.slice(1);
  return isScalar(scalar) ? scalar : name;
}

function attributes(tag: SaxesTagPlain): {
  xsi: string | undefined;
  refType: string | undefined;
  nil: boolean;
} {
  let xsi: string | undefined;
  let refType: string | undefined;
  let nil = false;
  for (const [name, value] of Object.entries(tag.attributes)) {
    if (name === "type") refType = value;
    else if (name.endsWith(":type")) xsi = local(value);
    else if (name.endsWith(":nil")) nil = value === "true" || value === "1";
  }
  return { xsi, refType, nil };
}

function finish(frame: Exclude<Frame, { kind: "skip" }>): unknown {
  switch (frame.kind) {
    case "leaf":
      return scalarValue(frame.scalar, frame.text);
    case "ref":
      return { type: frame.type, value: frame.text.trim() };
    case "list":
      return frame.items;
    case "object":
      for (const [name, field] of frame.fields) if (field.many) frame.value[name] ??= none; // R3
      return frame.value;
    case "tagged":
      return taggedValue(frame);
  }
}

function taggedValue(frame: Extract<Frame, { kind: "tagged" }>): unknown {
  const text = frame.text.trim();
  // An enumeration that the table does not list, or an untyped leaf: its text is all there is to it.
  if (!frame.fields && (text !== "" || frame.type === "")) return frame.text;
  return { $type: frame.type, $text: text, $fields: frame.fields ?? {} } satisfies Tagged;
}

function scalarValue(scalar: string, text: string): unknown {
  switch (scalar) {
    case "string":
      return text;
    case "boolean":
      return text.trim() === "true" || text.trim() === "1";
    case "dateTime":
      return text.trim();
    default:
      return Number(text);
  }
}

function attach(parent: Frame, name: string, value: unknown): void {
  switch (parent.kind) {
    case "object": {
      if (!parent.fields.get(name)?.many) parent.value[name] = value;
      else if (Array.isArray(parent.value[name])) (parent.value[name] as unknown[]).push(value);
      else parent.value[name] = [value];
      return;
    }
    case "list":
      parent.items.push(value);
      return;
    case "tagged":
      ((parent.fields ??= {})[name] ??= []).push(value);
      return;
    case "leaf":
    case "ref":
    case "skip":
  }
}

function local(name: string): string {
  const colon = name.indexOf(":");
  return colon < 0 ? name : name.slice(colon + 1);
}

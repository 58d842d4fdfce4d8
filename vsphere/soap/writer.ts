// Writes vim25 SOAP: envelopes, and typed values inside them.
//   W1. Fields come in the order of the schema, whatever order the object has; servers refuse or misread others.
//   W2. xsi:type is written on every data object, reference and untyped value: a subtype is never guessed.
//   W3. A field that the table does not know is a mistake of ours (Bug), not silence.
import { Fault } from "#core";
import {
  dataFields,
  isEnum,
  isScalar,
  methodParams,
  methodRow,
  parseDescriptor,
  type Field,
} from "./table.ts";
import type { Ref, Tagged } from "./types.ts";

const open =
  '<?xml version="1.0" encoding="UTF-8"?>\n' +
  '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"' +
  ' xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">';

/** A call: `method` on `target`. `header` elements go into the SOAP header (operationID). */
export function writeRequest(
  method: string,
  target: Ref,
  args: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, string>> = {},
): string {
  const params = methodParams(method);
  if (!params) throw new Fault("Bug", `no method ${method} in the vim25 table`);
  const body = fieldsXml(method, params, { ...args, _this: target });
  return `${open}${headerXml(header)}<soapenv:Body><${method} xmlns="urn:vim25">${body}</${method}></soapenv:Body></soapenv:Envelope>`;
}

function headerXml(header: Readonly<Record<string, string>>): string {
  const entries = Object.entries(header);
  if (entries.length === 0) return "";
  const inner = entries.map(([name, text]) => `<${name} xmlns="urn:vim25">${escapeXml(text)}</${name}>`);
  return `<soapenv:Header>${inner.join("")}</soapenv:Header>`;
}

/** An answer to `method`; `value` undefined stands for none. */
export function writeResponse(method: string, value: unknown): string {
  const returns = methodRow(method)?.returns;
  const inner = returns && value !== undefined ? valueXml("returnval", parseDescriptor(returns), value) : "";
  return `${open}<soapenv:Body><${method}Response xmlns="urn:vim25">${inner}</${method}Response></soapenv:Body></soapenv:Envelope>`;
}

/** A SOAP fault whose detail is the data object `fault` (its `$type` names it). */
export function writeFault(message: string, fault: { readonly $type: string }): string {
  const detail = valueXml(`${fault.$type}Fault`, parseDescriptor(fault.$type), fault, ' xmlns="urn:vim25"');
  return (
    `${open}<soapenv:Body><soapenv:Fault><faultcode>ServerFaultCode</faultcode>` +
    `<faultstring>${escapeXml(message)}</faultstring><detail>${detail}</detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>`
  );
}

/** A value that carries its own type into an "any" field: `typed("ManagedObjectReference[]", refs)`. */
export class Typed {
  readonly descriptor: string;
  readonly value: unknown;
  constructor(descriptor: string, value: unknown) {
    this.descriptor = descriptor;
    this.value = value;
  }
}

export function typed(descriptor: string, value: unknown): Typed {
  return new Typed(descriptor, value);
}

function fieldsXml(owner: string, fields: ReadonlyMap<string, Field>, value: object): string {
  const given = value as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(given))
    // W3
    if (!fields.has(name) && name !== "$type" && given[name] !== undefined)
      throw new Fault("Bug", `${owner} has no field ${name} in the vim25 table`);
  let xml = "";
  for (const [name, field] of fields) {
    const item = given[name]; // W1
    if (item !== undefined) xml += valueXml(name, field, item);
  }
  return xml;
}

function valueXml(name: string, field: Field, value: unknown, attributes = ""): string {
  if (field.many)
    return (value as readonly unknown[]).map((item) => itemXml(name, field.type, item, attributes)).join("");
  return itemXml(name, field.type, value, attributes);
}

function itemXml(name: string, type: string, value: unknown, attributes: string): string {
  if (type === "any") return anyXml(name, value);
  if (type === "ref") return refXml(name, value as Ref);
  if (isScalar(type) || isEnum(type)) return `<${name}${attributes}>${scalarText(value)}</${name}>`;
  const actual = (value as { $type?: string }).$type ?? type;
  const fields = dataFields(actual) ?? dataFields(type);
  if (fields)
    return `<${name}${attributes} xsi:type="${actual}">${fieldsXml(actual, fields, value as object)}</${name}>`; // W2
  return taggedXml(name, value as Tagged);
}

function anyXml(name: string, value: unknown): string {
  if (value instanceof Typed) return typedXml(name, parseDescriptor(value.descriptor), value.value);
  if (typeof value === "string") return `<${name} xsi:type="xsd:string">${escapeXml(value)}</${name}>`;
  if (typeof value === "boolean") return `<${name} xsi:type="xsd:boolean">${value}</${name}>`;
  if (typeof value === "number") return `<${name} xsi:type="xsd:${numberType(value)}">${value}</${name}>`;
  if (isRef(value)) return refXml(name, value);
  if (typeof value === "object" && value !== null && "$type" in value)
    return itemXml(name, String(value.$type), value, "");
  throw new Fault("Bug", `cannot write ${name}: a value for an untyped field needs a type`);
}

function typedXml(name: string, field: Field, value: unknown): string {
  if (!field.many) {
    if (isScalar(field.type)) return `<${name} xsi:type="xsd:${field.type}">${scalarText(value)}</${name}>`;
    if (isEnum(field.type)) return `<${name} xsi:type="${field.type}">${scalarText(value)}</${name}>`;
    return itemXml(name, field.type, value, "");
  }
  const element = arrayElement(field.type);
  const list = element.charAt(0).toUpperCase() + element.slice(1);
  const items = (value as readonly unknown[]).map((item) => itemXml(element, field.type, item, "")).join("");
  return `<${name} xsi:type="ArrayOf${list}">${items}</${name}>`;
}

/** ArrayOfString holds <string> elements, ArrayOfManagedObjectReference <ManagedObjectReference>. */
function arrayElement(type: string): string {
  if (type === "ref") return "ManagedObjectReference";
  return type === "any" ? "anyType" : type;
}

function refXml(name: string, ref: Ref): string {
  return `<${name} type="${escapeXml(ref.type)}" xsi:type="ManagedObjectReference">${escapeXml(ref.value)}</${name}>`;
}

function taggedXml(name: string, tagged: Tagged): string {
  const inner = Object.entries(tagged.$fields ?? {}).map(([field, values]) =>
    values
      .map((value) =>
        typeof value === "string" ? `<${field}>${escapeXml(value)}</${field}>` : anyXml(field, value),
      )
      .join(""),
  );
  return `<${name} xsi:type="${escapeXml(tagged.$type)}">${escapeXml(tagged.$text ?? "")}${inner.join("")}</${name}>`;
}

export function isRef(value: unknown): value is Ref {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as Partial<Ref>).value === "string" &&
    typeof (value as Partial<Ref>).type === "string" &&
    !("$type" in value)
  );
}

function scalarText(value: unknown): string {
  return typeof value === "string" ? escapeXml(value) : String(value);
}

function numberType(value: number): string {
  if (!Number.isInteger(value)) return "double";
  return Math.abs(value) < 2 ** 31 ? "int" : "long";
}

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
// Characters XML 1.0 cannot carry at all, not even escaped.
const impossible = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g;

export function escapeXml(text: string): string {
  return text
    .replace(impossible, "\uFFFD")
    .replace(/[&<>"]/g, (c) => escapes[c] ?? c)
    .replace(/\r/g, "&#13;");
}

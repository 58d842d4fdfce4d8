// What a value may look like. A parser turns what a user wrote into a value, or says in a few words what was expected.
import { isIP } from "node:net";
import { isAbsolute, join } from "node:path";
import ipaddr from "ipaddr.js";
import { Secret } from "../secret.ts";

/** What a parser may need of the world. */
export interface ParseContext {
  /** Relative paths start here: the folder of the file the value stands in, else the working folder; "" leaves them as they are. */
  readonly baseDir: string;
  /** The text of a file; throws as node:fs does. */
  readonly readFile: (path: string) => string;
}

export type Parsed<T> = { readonly value: T } | { readonly expected: string };

export interface Parser<T> {
  /** What to show in place of the value: "URL", "DURATION". */
  readonly placeholder: string;
  /** Reads text, or what YAML made of it: a number, a boolean, a list. */
  readonly parse: (raw: unknown, context: ParseContext) => Parsed<T>;
  /** JSON Schema (2020-12) of the value in a file. */
  readonly json: Readonly<Record<string, unknown>>;
  /** Where the value is secret: it is never echoed, and hidden in forms. */
  readonly secret?: true;
  /** A flag that needs no value: --verbose, --no-verbose. */
  readonly flag?: true;
  /** A flag that may come several times, and adds up. */
  readonly many?: true;
}

const no = (expected: string) => ({ expected });

/** A parser over text. Numbers are taken as their text where YAML cannot have changed them. */
function textual<T>(
  placeholder: string,
  json: Readonly<Record<string, unknown>>,
  read: (text: string, context: ParseContext) => Parsed<T>,
): Parser<T> {
  return {
    placeholder,
    json,
    parse(raw, context) {
      if (typeof raw === "string") return read(raw.trim(), context);
      if (typeof raw === "number" && Number.isSafeInteger(raw)) return read(String(raw), context);
      if (typeof raw === "number" || typeof raw === "boolean")
        return no(`text; put ${String(raw)} in quotes`);
      return no(`one value, not ${Array.isArray(raw) ? "a list" : "a group"}`);
    },
  };
}

/** Any text but the empty one. */
export function text(placeholder = "TEXT"): Parser<string> {
  return textual(placeholder, { type: "string", minLength: 1 }, (value) =>
    value === "" ? no("some text") : { value },
  );
}

/** Something that must not be shown. Spaces at the ends belong to it; a line end does not. */
export function secret(): Parser<Secret> {
  return {
    placeholder: "SECRET",
    secret: true,
    json: { type: "string", minLength: 1 },
    parse(raw) {
      const value = typeof raw === "number" && Number.isSafeInteger(raw) ? String(raw) : raw;
      if (typeof value !== "string") return no("text; put it in quotes");
      const bare = value.replace(/\r?\n$/, "");
      return bare === "" ? no("some text") : { value: new Secret(bare) };
    },
  };
}

/** A file that holds something that must not be shown; read when the options are loaded. */
export function secretFile(): Parser<Secret> {
  return textual("FILE", { type: "string", minLength: 1 }, (value, context) => {
    if (value === "") return no("the path of a file");
    const at = resolve(value, context);
    try {
      const bare = context.readFile(at).replace(/\r?\n$/, "");
      return bare === "" ? no(`a file with a secret in it; ${at} is empty`) : { value: new Secret(bare) };
    } catch (error) {
      return no(`a file that can be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
}

/** A path; a relative one counts from the folder of the file it stands in. */
export function path(): Parser<string> {
  return textual("PATH", { type: "string", minLength: 1 }, (value, context) =>
    value === "" ? no("a path") : { value: resolve(value, context) },
  );
}

function resolve(path: string, { baseDir }: ParseContext): string {
  return isAbsolute(path) || baseDir === "" ? path : join(baseDir, path);
}

/** A whole number within the range, ends included. */
export function integer(range: { readonly min?: number; readonly max?: number } = {}): Parser<number> {
  const { min, max } = range;
  const bounds =
    min !== undefined && max !== undefined
      ? ` from ${min} to ${max}`
      : min !== undefined
        ? ` of at least ${min}`
        : max !== undefined
          ? ` of at most ${max}`
          : "";
  const json = {
    type: "integer",
    ...(min === undefined ? {} : { minimum: min }),
    ...(max === undefined ? {} : { maximum: max }),
  };
  return textual("NUMBER", json, (value) => {
    const number = /^[-+]?\d+$/.test(value) ? Number(value) : NaN;
    const fits = Number.isSafeInteger(number) && number >= (min ?? -Infinity) && number <= (max ?? Infinity);
    return fits ? { value: number } : no(`a whole number${bounds}`);
  });
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A length of time as milliseconds: "500ms", "30s", "1h30m", "2d", or "0". */
export function duration(range: { readonly min?: string; readonly max?: string } = {}): Parser<number> {
  const min = range.min === undefined ? 0 : (durationMs(range.min) ?? 0);
  const max = range.max === undefined ? Infinity : (durationMs(range.max) ?? Infinity);
  const bounds =
    range.min !== undefined && range.max !== undefined
      ? ` from ${range.min} to ${range.max}`
      : range.min !== undefined
        ? ` of at least ${range.min}`
        : range.max !== undefined
          ? ` of at most ${range.max}`
          : "";
  const json = { type: "string", pattern: "^(0|([0-9]+(ms|s|m|h|d))+)$" };
  return textual("DURATION", json, (value) => {
    const ms = durationMs(value);
    return ms !== undefined && ms >= min && ms <= max
      ? { value: ms }
      : no(`a length of time such as 30s or 1h30m${bounds && `,${bounds}`}`);
  });
}

/** Milliseconds; undefined where the text is no length of time. */
export function durationMs(value: string): number | undefined {
  if (value === "0") return 0;
  if (!/^(\d+(ms|s|m|h|d))+$/.test(value)) return undefined;
  let total = 0;
  for (const [, count = "", unit = ""] of value.matchAll(/(\d+)(ms|s|m|h|d)/g))
    total += Number(count) * (units[unit] ?? 0);
  return Number.isSafeInteger(total) ? total : undefined;
}

/** An absolute URL; https and http unless told. It carries no password. */
export function url(protocols: readonly string[] = ["https", "http"]): Parser<URL> {
  const example = `${protocols[0] ?? "https"}://host:port`;
  return textual("URL", { type: "string", format: "uri" }, (value) => {
    if (!URL.canParse(value)) return no(`a URL such as ${example}`);
    const parsed = new URL(value);
    if (!protocols.includes(parsed.protocol.slice(0, -1)))
      return no(`a URL that starts with ${protocols.map((p) => `${p}://`).join(" or ")}`);
    if (parsed.username !== "" || parsed.password !== "") return no("a URL without a user name or password");
    return { value: parsed };
  });
}

export interface HostPort {
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  /** "host:port", with brackets around an IPv6 address. */
  readonly text: string;
}

/** A host and a port: "vcenter.example:443", "10.0.0.1", "[::1]:8443". The port may be left out where there is a usual one. */
export function hostPort(usualPort?: number): Parser<HostPort> {
  const expected =
    usualPort === undefined ? "host:port" : `host or host:port (port ${usualPort} unless told)`;
  return textual("HOST:PORT", { type: "string", minLength: 1 }, (value) => {
    const match = /^(?:\[([^\]]+)\]|([^:[\]/\s]+))(?::(\d{1,5}))?$/.exec(value);
    const bare = isIP(value) === 6 ? value : undefined;
    const host = bare ?? match?.[1] ?? match?.[2];
    const port = match?.[3] === undefined ? usualPort : Number(match[3]);
    if (host === undefined || port === undefined || port > 65_535) return no(expected);
    if (match?.[1] !== undefined && isIP(match[1]) !== 6) return no(expected);
    return { value: { host, port, text: `${isIP(host) === 6 ? `[${host}]` : host}:${port}` } };
  });
}

/** true or false; as a flag it needs no value, and --no-NAME turns it off. */
export function boolean(): Parser<boolean> {
  return {
    placeholder: "true|false",
    flag: true,
    json: { type: "boolean" },
    parse(raw) {
      if (typeof raw === "boolean") return { value: raw };
      if (typeof raw === "string") {
        const word = raw.trim().toLowerCase();
        if (["true", "yes", "on", "1"].includes(word)) return { value: true };
        if (["false", "no", "off", "0"].includes(word)) return { value: false };
      }
      return no("true or false");
    },
  };
}

/** One of these words. */
export function oneOf<const T extends string>(...words: readonly T[]): Parser<T> {
  return textual(words.join("|"), { enum: [...words] }, (value) => {
    const found = words.find((word) => word === value);
    return found === undefined ? no(`one of ${words.join(", ")}`) : { value: found };
  });
}

/** Several values: a list in a file, "a,b" elsewhere; a flag may also come several times. */
export function list<T>(of: Parser<T>): Parser<readonly T[]> {
  return {
    placeholder: `${of.placeholder}[,...]`,
    many: true,
    ...(of.secret ? { secret: true as const } : {}),
    json: { type: "array", items: of.json },
    parse(raw, context) {
      const parts = Array.isArray(raw)
        ? (raw as readonly unknown[]).flatMap((part) => (typeof part === "string" ? split(part) : [part]))
        : typeof raw === "string"
          ? split(raw)
          : [raw];
      const values: T[] = [];
      for (const [index, part] of parts.entries()) {
        const parsed = of.parse(part, context);
        if ("expected" in parsed)
          return no(parts.length === 1 ? parsed.expected : `${parsed.expected} (in place ${index + 1})`);
        values.push(parsed.value);
      }
      return { value: values };
    },
  };
}

function split(value: string): string[] {
  return value
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** A network: "10.0.0.0/24", "fd00::/64". Bits beyond the prefix must be zero. Given as its canonical text. */
export function cidr(family?: 4 | 6): Parser<string> {
  const example = family === 6 ? "fd00:10::/64" : "10.0.0.0/24";
  return textual("CIDR", { type: "string" }, (value) => {
    const match = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(value);
    const address = match?.[1] ?? "";
    const version = isIP(address);
    const bits = Number(match?.[2]);
    if (version === 0 || bits > (version === 4 ? 32 : 128) || (family !== undefined && version !== family))
      return no(`a network such as ${example}`);
    const range = version === 4 ? ipaddr.IPv4 : ipaddr.IPv6;
    const network = range.networkAddressFromCIDR(`${address}/${bits}`).toString();
    if (ipaddr.parse(address).toString() !== network)
      return no(`a network such as ${example}; did you mean ${network}/${bits}?`);
    return { value: `${network}/${bits}` };
  });
}

/** An IP address, in canonical text. */
export function ipAddress(family?: 4 | 6): Parser<string> {
  return textual("ADDRESS", { type: "string" }, (value) => {
    const version = isIP(value);
    if (version === 0 || value.includes("%") || (family !== undefined && version !== family))
      return no(`an ${family === undefined ? "IP" : `IPv${family}`} address`);
    return { value: ipaddr.parse(value).toString() };
  });
}

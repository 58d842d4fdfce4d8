import fc from "fast-check";
import { parse as parseYaml } from "yaml";
import { describe, expect, expectTypeOf, test } from "vitest";
import type { Secret } from "../secret.ts";
import {
  boolean,
  cidr,
  duration,
  group,
  helpText,
  hostPort,
  integer,
  ipAddress,
  jsonSchema,
  list,
  load,
  mistakesFault,
  nearest,
  oneOf,
  option,
  ovfProperties,
  ovfXml,
  path,
  referencePage,
  secret,
  secretFile,
  text,
  url,
  type HostPort,
  type Infer,
  type Parser,
  type Sources,
} from "./index.ts";

const schema = group({
  dataDir: option(path(), { help: "Where state is kept.", default: "data" }),
  plane: group(
    {
      url: option(url(), { help: "Address of the plane.", ovf: "Plane address" }),
      token: option(secret(), { help: "Enrolment token.", ovf: "Enrolment token", optional: true }),
      keepalive: option(duration({ min: "1s", max: "1h" }), { help: "Between pings.", default: "5s" }),
    },
    "The line to the plane.",
  ),
  ipam: group({
    reuseAfter: option(duration(), {
      help: "Rest before an address is given out again.",
      default: "0",
      ovf: "Rest",
    }),
    allow: option(list(cidr()), { help: "Networks allowed.", default: "" }),
  }),
  workers: option(integer({ min: 1, max: 64 }), { help: "Keys worked on at once.", default: "4" }),
  verbose: option(boolean(), { help: "Say more.", default: "false" }),
  mode: option(oneOf("sandbox", "external"), { help: "Which API.", default: "sandbox", env: "PCG_MODE" }),
});

const good = { plane: { url: "https://plane.example" } };
const from = (sources: Sources) => load(schema, { file: { path: "gateway.yaml", value: good }, ...sources });
function value(sources: Sources) {
  const loaded = from(sources);
  if (loaded.kind === "mistakes") throw mistakesFault(loaded.problems);
  return loaded.value;
}
function mistakes(sources: Sources): string[] {
  const loaded = load(schema, sources);
  return loaded.kind === "mistakes"
    ? loaded.problems.map(({ field, message }) => `${field}: ${message}`)
    : [];
}

test("the type of the settings follows from the schema", () => {
  type Options = Infer<typeof schema>;
  expectTypeOf<Options["plane"]["url"]>().toEqualTypeOf<URL>();
  expectTypeOf<Options["plane"]>().toHaveProperty("token");
  expectTypeOf<NonNullable<Options["plane"]["token"]>>().toEqualTypeOf<Secret>();
  expectTypeOf<Options["ipam"]["allow"]>().toEqualTypeOf<readonly string[]>();
  expectTypeOf<Options["mode"]>().toEqualTypeOf<"sandbox" | "external">();
  // @ts-expect-error an optional setting may be absent
  const token: Secret = ({} as Options).plane?.token;
  expect(token).toBeUndefined();
});

test("flags come before the environment, then the file, OVF properties, the command's defaults, the schema's", () => {
  const ovf = { "ipam.reuseAfter": "4s" };
  const all: Sources = {
    argv: ["--ipam-reuse-after", "1s"],
    env: { PCG_IPAM_REUSE_AFTER: "2s" },
    file: { path: "gateway.yaml", value: { ...good, ipam: { reuseAfter: "3s" } } },
    ovf,
    defaults: { ipam: { reuseAfter: "5s" } },
  };
  const took = (sources: Sources) => {
    const loaded = from(sources);
    return loaded.kind === "loaded"
      ? [loaded.value.ipam.reuseAfter, loaded.origin("ipam.reuseAfter")]
      : loaded.problems;
  };
  expect(took(all)).toEqual([1_000, "--ipam-reuse-after"]);
  expect(took({ ...all, argv: [] })).toEqual([2_000, "PCG_IPAM_REUSE_AFTER"]);
  expect(took({ ...all, argv: [], env: {} })).toEqual([3_000, "ipam.reuseAfter in gateway.yaml"]);
  const bare = { file: { path: "gateway.yaml", value: good } };
  expect(took({ ...bare, ovf, defaults: all.defaults ?? {} })).toEqual([
    4_000,
    "ipam.reuseAfter in the OVF properties",
  ]);
  expect(took({ ...bare, defaults: all.defaults ?? {} })).toEqual([5_000, "default"]);
  expect(took(bare)).toEqual([0, "default"]);
});

test("all mistakes are reported at once, each in the words of the source in which it was made", () => {
  const sources: Sources = {
    argv: ["--workers", "99", "--verbos", "--plane-token"],
    env: { PCG_PLANE_KEEPALIV: "5s", PCG_MODE: "embeded", PCG_SOMETHING_ELSE: "1" },
    file: {
      path: "gateway.yaml",
      value: parseYaml("plane:\n  ulr: https://x\n  keepalive: [1s]\nipam: many\nkeepalive: 3s\n"),
    },
    ovf: { "ipam.reuseAfter": "soon", unrelated: "x" },
  };
  expect(mistakes(sources)).toEqual([
    "--verbos: no such option; did you mean --verbose?",
    "--plane-token: needs a value: --plane-token SECRET",
    "PCG_PLANE_KEEPALIV: no such variable; did you mean PCG_PLANE_KEEPALIVE?",
    "plane.ulr in gateway.yaml: no such setting; did you mean plane.url?",
    'ipam in gateway.yaml: expected a group with reuseAfter, allow, got "many"',
    "keepalive in gateway.yaml: no such setting; did you mean plane.keepalive?",
    "--plane-url: is required: Address of the plane. (or PCG_PLANE_URL, or plane.url in gateway.yaml)",
    'plane.keepalive in gateway.yaml: expected one value, not a list, got ["1s"]',
    'ipam.reuseAfter in the OVF properties: expected a length of time such as 30s or 1h30m, got "soon"',
    '--workers: expected a whole number from 1 to 64, got "99"',
    'PCG_MODE: expected one of sandbox, external, got "embeded"',
  ]);
  const fault = mistakesFault([{ field: "--workers", message: "expected a number" }]);
  expect(fault.code).toBe("Invalid");
  expect(fault.message).toBe("a mistake in the configuration:\n  --workers: expected a number");
});

test("a wrong secret is never quoted", () => {
  const [only] = mistakes({
    file: { path: "f", value: { plane: { url: "https://x", token: ["hunter2"] } } },
  });
  expect(only).toBe("plane.token in f: expected text; put it in quotes");
});

test("what is empty counts as absent", () => {
  const loaded = value({
    env: { PCG_WORKERS: "" },
    ovf: { "ipam.reuseAfter": "" },
    file: { path: "gateway.yaml", value: { ...good, ipam: null, mode: null } },
  });
  expect([loaded.workers, loaded.ipam.reuseAfter, loaded.mode]).toEqual([4, 0, "sandbox"]);
  expect("token" in loaded.plane).toBe(false);
});

test("switches, repeated flags and a caller's own flags", () => {
  const sources: Sources = {
    argv: "--config x.yaml --verbose --json --ipam-allow 10.0.0.0/8 --ipam-allow=fd00::/64,10.1.0.0/16".split(
      " ",
    ),
    ownFlags: { config: "value", json: "switch" },
  };
  expect(value(sources).verbose).toBe(true);
  expect(value(sources).ipam.allow).toEqual(["10.0.0.0/8", "fd00::/64", "10.1.0.0/16"]);
  expect(value({ argv: ["--no-verbose"], env: { PCG_VERBOSE: "yes" } }).verbose).toBe(false);
  expect(mistakes({ argv: ["--no-plane-url", "stray"], file: { path: "f", value: good } })).toEqual([
    "--no-plane-url: no such option; did you mean --plane-url?",
    "stray: is not an option; options look like --name value",
  ]);
});

test("a relative path counts from the folder of the file it stands in, or from the working folder", () => {
  const file = { path: "/etc/pcg/gateway.yaml", value: { ...good, dataDir: "state" } };
  expect(value({ file, cwd: "/home/op" }).dataDir).toBe("/etc/pcg/state");
  expect(value({ file, cwd: "/home/op", argv: ["--data-dir", "here"] }).dataDir).toBe("/home/op/here");
  expect(value({ cwd: "/home/op" }).dataDir).toBe("/home/op/data");
  expect(value({ argv: ["--data-dir", "/abs"], cwd: "/home/op" }).dataDir).toBe("/abs");
});

test("a secret file is read, without the line end, and its content never shows", () => {
  const one = group({ key: option(secretFile(), { help: "Key." }) });
  const readFile = (at: string) => {
    if (at !== "/run/key") throw new Error(`ENOENT: no such file, open '${at}'`);
    return "s3cret\n";
  };
  const loaded = load(one, { argv: ["--key", "/run/key"], readFile });
  expect(loaded.kind === "loaded" && loaded.value.key.reveal()).toBe("s3cret");
  expect(JSON.stringify(loaded)).not.toContain("s3cret");
  expect(load(one, { argv: ["--key", "/nowhere"], readFile })).toMatchObject({
    problems: [
      {
        field: "--key",
        message: expect.stringContaining("expected a file that can be read: ENOENT") as string,
      },
    ],
  });
});

describe("parsers", () => {
  const context = { baseDir: "", readFile: () => "" };
  const table: [string, Parser<unknown>, unknown, unknown][] = [
    ["duration", duration(), "1h30m", 5_400_000],
    ["duration of 0", duration(), 0, 0],
    ["duration without a unit", duration(), "30", "a length of time such as 30s or 1h30m"],
    [
      "duration out of range",
      duration({ min: "1s" }),
      "10ms",
      "a length of time such as 30s or 1h30m, of at least 1s",
    ],
    ["integer", integer(), "-7", -7],
    ["integer with a fraction", integer(), 1.5, "text; put 1.5 in quotes"],
    ["integer too small", integer({ min: 1 }), 0, "a whole number of at least 1"],
    ["number as text", text(), 42, "42"],
    ["boolean as text", text(), true, "text; put true in quotes"],
    ["empty text", text(), "  ", "some text"],
    ["boolean word", boolean(), "off", false],
    ["no boolean", boolean(), "maybe", "true or false"],
    ["URL of another protocol", url(["https"]), "http://x", "a URL that starts with https://"],
    ["URL with a password", url(), "https://u:p@x", "a URL without a user name or password"],
    ["no URL", url(), "plane", "a URL such as https://host:port"],
    [
      "host and port",
      hostPort(),
      "vc.example:8443",
      { host: "vc.example", port: 8443, text: "vc.example:8443" },
    ],
    ["host without a port", hostPort(443), "10.0.0.1", { host: "10.0.0.1", port: 443, text: "10.0.0.1:443" }],
    ["IPv6 in brackets", hostPort(), "[::1]:80", { host: "::1", port: 80, text: "[::1]:80" }],
    ["bare IPv6", hostPort(443), "fd00::1", { host: "fd00::1", port: 443, text: "[fd00::1]:443" }],
    ["port too large", hostPort(), "x:70000", "host:port"],
    ["missing port", hostPort(), "x", "host:port"],
    ["network", cidr(), "10.1.0.0/16", "10.1.0.0/16"],
    ["network, canonical", cidr(6), "FD00:0::/64", "fd00::/64"],
    ["host bits set", cidr(), "10.1.2.3/16", "a network such as 10.0.0.0/24; did you mean 10.1.0.0/16?"],
    ["network of the wrong family", cidr(4), "fd00::/64", "a network such as 10.0.0.0/24"],
    ["prefix too long", cidr(), "10.0.0.0/33", "a network such as 10.0.0.0/24"],
    ["address", ipAddress(), "FD00::0:1", "fd00::1"],
    ["address with a zone", ipAddress(), "fe80::1%eth0", "an IP address"],
    ["list in a file", list(integer()), [1, "2"], [1, 2]],
    ["list with a mistake", list(integer({ min: 0 })), "1,x", "a whole number of at least 0 (in place 2)"],
  ];
  test.each(table)("%s", (_name, parser, raw, want) => {
    const parsed = parser.parse(raw, context);
    expect("value" in parsed ? parsed.value : parsed.expected).toEqual(want);
  });

  test("host and port survive being written and read again", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.ipV6(), fc.ipV4(), fc.domain()),
        fc.integer({ min: 1, max: 65_535 }),
        (host, port) => {
          const first = hostPort(1).parse(
            host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
            context,
          );
          const again = "value" in first ? hostPort().parse(first.value.text, context) : first;
          expect(again).toEqual({ value: { host, port, text: (first as { value: HostPort }).value.text } });
        },
      ),
    );
  });
});

test("a slip is recognised, a stranger is not", () => {
  expect(nearest("keepalvie", ["keepalive", "url"])).toBe("keepalive");
  expect(nearest("keepalive", ["url", "token"])).toBeUndefined();
});

test("the help shows flag, meaning, default and variable", () => {
  expect(helpText(schema, 90)).toMatchInlineSnapshot(`
    "  --data-dir PATH              Where state is kept. (default data; PCG_DATA_DIR)
      --plane-url URL              Address of the plane. (required; PCG_PLANE_URL)
      --plane-token SECRET         Enrolment token. (PCG_PLANE_TOKEN)
      --plane-keepalive DURATION   Between pings. (default 5s; PCG_PLANE_KEEPALIVE)
      --ipam-reuse-after DURATION  Rest before an address is given out again. (default 0;
                                   PCG_IPAM_REUSE_AFTER)
      --ipam-allow CIDR[,...]      Networks allowed. (PCG_IPAM_ALLOW)
      --workers NUMBER             Keys worked on at once. (default 4; PCG_WORKERS)
      --verbose                    Say more. (default false; PCG_VERBOSE)
      --mode sandbox|external      Which API. (default sandbox; PCG_MODE)"
  `);
});

test("the reference page lists every option", () => {
  const page = referencePage(schema, "Options of the gateway");
  expect(page).toContain("## plane\n\nThe line to the plane.\n\n| in the file |");
  expect(page).toContain(
    "| `ipam.reuseAfter` | `--ipam-reuse-after` | `PCG_IPAM_REUSE_AFTER` | `DURATION` | `0` | Rest before",
  );
  expect(page).toContain("`sandbox\\|external`");
});

test("the JSON Schema knows the file's shape", () => {
  expect(jsonSchema(schema, "gateway.yaml")).toMatchObject({
    additionalProperties: false,
    properties: {
      workers: { type: "integer", minimum: 1, maximum: 64, default: 4 },
      plane: { type: "object", properties: { url: { type: "string", format: "uri" } } },
      ipam: { properties: { allow: { type: "array", items: { type: "string" }, default: [] } } },
    },
  });
});

test("only what has a label is an OVF property, and a secret is a password", () => {
  expect(
    ovfProperties(schema).map(({ key, password, default: standard }) => [key, password, standard]),
  ).toEqual([
    ["plane.url", false, undefined],
    ["plane.token", true, undefined],
    ["ipam.reuseAfter", false, "0"],
  ]);
  expect(ovfXml(group({ a: option(text(), { help: 'x < "y"', ovf: "A & B" }) }))).toBe(
    '<Property ovf:key="a" ovf:type="string" ovf:userConfigurable="true">\n  <Label>A &amp; B</Label>\n  <Description>x &lt; &quot;y&quot;</Description>\n</Property>',
  );
});

// Requests that kubectl does not make but controllers do, on a real kube-apiserver and on our REST face: same codes, same reasons, same
// objects.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { gizmo } from "./harness/gizmo.ts";
import { plain } from "./harness/normal.ts";
import { startSides, type Reply, type Sides } from "./harness/sides.ts";

let sides: Sides;
beforeAll(async () => {
  sides = await startSides([gizmo]);
});
afterAll(() => sides?.close());

type Headers = Readonly<Record<string, string>>;
type Step = readonly [line: string, body?: unknown, headers?: Headers];

/** What of an answer must be alike: for refusals code and reason, for all else everything but identities and times. */
function gist({ status, body }: Reply): unknown {
  const { kind, code, reason } = body as { kind?: string; code?: number; reason?: string };
  if (kind === "Status" && status >= 300) return { status, code, reason };
  if (status >= 300) return { refused: true };
  return { status, body: JSON.parse(JSON.stringify(body, sorted)) as unknown };
}

/** What only kube-apiserver tells, or tells in words of its own. */
const unlike = ["remainingItemCount", "storageVersionHash", "description"];

/** Members in one order; who managed which field is told by kubectl.test.ts; tokens that carry a place in a list are opaque. */
function sorted(key: string, value: unknown): unknown {
  if (key === "managedFields" || (key === "metadata" && value === null)) return undefined;
  if (key === "continue") return value === "" ? undefined : "TOKEN";
  if (unlike.includes(key)) return undefined;
  if (key === "resourceVersion") return "REVISION";
  if (typeof value === "string") return plain(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Sends the same to both. A part of the line like "{uid:a}" is what the object of this name has there. */
async function both([line, body, headers]: Step, alikeIn: (reply: Reply) => unknown = gist): Promise<void> {
  const [real, ours] = await Promise.all(
    [sides.real, sides.ours].map(async (side) => {
      const fill = async (text: string) => {
        const found = /\{(\w+):(\w+)\}/.exec(text);
        if (!found) return text;
        const { body: object } = await side.ask(`GET ${path}/${found[2]}`);
        const value = (object as { metadata: Record<string, string> }).metadata[found[1]!] ?? "";
        return text.replaceAll(found[0], value);
      };
      const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
      return side.ask(await fill(line), text === undefined ? undefined : await fill(text), headers);
    }),
  );
  expect(alikeIn(ours!), line).toEqual(alikeIn(real!));
}

const path = "/apis/peers.pcg.dev/v1/namespaces/default/gizmos";
const merge = { "content-type": "application/merge-patch+json" };
const jsonPatch = { "content-type": "application/json-patch+json" };
const apply = { "content-type": "application/apply-patch+yaml" };
const object = (name: string, spec: object = { size: 1 }, metadata: object = {}) => ({
  apiVersion: "peers.pcg.dev/v1",
  kind: "Gizmo",
  metadata: { name, ...metadata },
  spec,
});

function alike(name: string, ...steps: readonly Step[]): void {
  it(name, async () => {
    for (const step of steps) await both(step);
  });
}

/** Both refuse, each in its own way: kube-apiserver answers some of these with a 500. */
function refused(name: string, ...steps: readonly Step[]): void {
  it(name, async () => {
    for (const step of steps) await both(step, ({ status }) => (status >= 400 ? "refused" : status));
  });
}

describe("creating", () => {
  alike(
    "an object, and again",
    [`POST ${path}`, object("a")],
    [`POST ${path}`, object("a")],
    [`GET ${path}/a`],
  );
  alike("without a name", [`POST ${path}`, object("")]);
  alike(
    "with a status, which is dropped",
    [`POST ${path}`, { ...object("b"), status: { phase: "X" } }],
    [`GET ${path}/b`],
  );
  refused("with a revision", [`POST ${path}`, object("c", { size: 1 }, { resourceVersion: "5" })]);
  alike("with what is the server's own", [
    `POST ${path}`,
    object(
      "d",
      { size: 1 },
      {
        uid: "mine",
        generation: 7,
        creationTimestamp: "2020-01-01T00:00:00Z",
        deletionTimestamp: "2020-01-01T00:00:00Z",
      },
    ),
  ]);
  alike("in a namespace that is not there", [
    "POST /apis/peers.pcg.dev/v1/namespaces/none/gizmos",
    object("a"),
  ]);
  alike("in another namespace than the path says", [
    `POST ${path}`,
    object("e", {}, { namespace: "kube-system" }),
  ]);
  alike("another kind", [`POST ${path}`, { ...object("e"), kind: "Gadget" }]);
  alike("another version", [`POST ${path}`, { ...object("e"), apiVersion: "peers.pcg.dev/v7" }]);
  alike("without saying what it is", [`POST ${path}`, { metadata: { name: "e" }, spec: { size: 1 } }]);
  alike(
    "nothing",
    [`POST ${path}`, ""],
    [`POST ${path}`, "[]"],
    [`POST ${path}`, "{"],
    [`POST ${path}`, "null"],
  );
  alike("as something nobody reads", [`POST ${path}`, "size=1", { "content-type": "text/plain" }]);
  alike("with labels that are no text", [`POST ${path}`, object("e", { size: 1 }, { labels: { a: 5 } })]);
  alike("with finalizers that are no list", [`POST ${path}`, object("e", { size: 1 }, { finalizers: "x" })]);
  alike(
    "with names nobody may have",
    ...["Big", "-a", "a/b", "x".repeat(254)].map((name): Step => [`POST ${path}`, object(name)]),
  );
  alike("with labels nobody may have", [
    `POST ${path}`,
    object("e", { size: 1 }, { labels: { "a b": "c" } }),
  ]);
  alike("with a finalizer nobody may have", [
    `POST ${path}`,
    object("e", { size: 1 }, { finalizers: ["a b"] }),
  ]);
  alike("with half an owner", [
    `POST ${path}`,
    object("e", { size: 1 }, { ownerReferences: [{ kind: "X", name: "x" }] }),
  ]);
  alike(
    "with a size beyond its edge, missing, or of another type",
    ...[{ size: 1000 }, {}, { size: "1" }, { size: 1.5 }].map((spec): Step => [
      `POST ${path}`,
      object("e", spec),
    ]),
  );
  alike("strictly, with a strange field", [
    `POST ${path}?fieldValidation=Strict`,
    object("e", { size: 1, sise: 2 } as object),
  ]);
  alike("loosely, with a strange field, which goes", [
    `POST ${path}?fieldValidation=Ignore`,
    object("f", { size: 1, sise: 2 } as object),
  ]);
  alike(
    "only in thought",
    [`POST ${path}?dryRun=All`, object("g")],
    [`GET ${path}/g`],
    [`POST ${path}?dryRun=Some`, object("g")],
  );
  refused(
    "at an object, or for all namespaces",
    [`POST ${path}/a`, object("a")],
    ["POST /apis/peers.pcg.dev/v1/gizmos", object("z")],
  );
});

describe("replacing", () => {
  alike("without a revision", [`PUT ${path}/a`, object("a", { size: 2 })]);
  alike("of the revision that is there", [
    `PUT ${path}/a`,
    object("a", { size: 2 }, { resourceVersion: "{resourceVersion:a}" }),
  ]);
  alike("of a stale revision", [`PUT ${path}/a`, object("a", { size: 3 }, { resourceVersion: "1" })]);
  refused("of a strange revision", [`PUT ${path}/a`, object("a", { size: 3 }, { resourceVersion: "x" })]);
  alike(
    "what is not there",
    [`PUT ${path}/none`, object("none", { size: 3 }, { resourceVersion: "1" })],
    [`PUT ${path}/none`, object("none")],
  );
  alike("another than the path says", [`PUT ${path}/a`, object("b")]);
  alike("another object of the same name", [
    `PUT ${path}/a`,
    object("a", { size: 2 }, { resourceVersion: "{resourceVersion:a}", uid: "another" }),
  ]);
  alike("with a status, which stays what it was", [
    `PUT ${path}/a`,
    { ...object("a", { size: 4 }, { resourceVersion: "{resourceVersion:a}" }), status: { phase: "X" } },
  ]);
  alike("the status, and nothing else", [
    `PUT ${path}/a/status`,
    {
      ...object("a", { size: 50 }, { resourceVersion: "{resourceVersion:a}", labels: { new: "label" } }),
      status: { phase: "Y" },
    },
  ]);
  alike("the status by something wrong", [
    `PUT ${path}/a/status`,
    { ...object("a", { size: 1 }, { resourceVersion: "{resourceVersion:a}" }), status: { phase: 5 } },
  ]);
  refused("the collection", [`PUT ${path}`, object("a")]);
  alike("a part nobody has", [`PUT ${path}/a/scale`, object("a")], [`GET ${path}/a/log`]);
});

describe("patching", () => {
  alike(
    "by merge",
    [`PATCH ${path}/a`, { spec: { note: "n", extra: { k: "v" } } }, merge],
    [`PATCH ${path}/a`, { spec: { note: null, extra: { k: null } } }, merge],
  );
  alike("by merge, changing nothing", [`PATCH ${path}/a`, {}, merge]);
  alike("by merge, with a stale revision", [
    `PATCH ${path}/a`,
    { metadata: { resourceVersion: "1" } },
    merge,
  ]);
  alike(
    "by merge, to another name, uid or kind",
    [`PATCH ${path}/a`, { metadata: { name: "z" } }, merge],
    [`PATCH ${path}/a`, { metadata: { uid: "z" } }, merge],
    [`PATCH ${path}/a`, { kind: "Z" }, merge],
  );
  alike(
    "by merge, with something that is no object",
    [`PATCH ${path}/a`, "5", merge],
    [`PATCH ${path}/a`, "{", merge],
  );
  alike(
    "by merge, to something wrong",
    [`PATCH ${path}/a`, { spec: { size: 0 } }, merge],
    [`PATCH ${path}/a`, { spec: { size: "1" } }, merge],
    [`PATCH ${path}/a`, { metadata: { labels: { a: 5 } } }, merge],
  );
  alike("by operations", [
    `PATCH ${path}/a`,
    [
      { op: "add", path: "/spec/note", value: "x" },
      { op: "test", path: "/spec/note", value: "x" },
    ],
    jsonPatch,
  ]);
  alike(
    "by operations that do not fit",
    [`PATCH ${path}/a`, [{ op: "test", path: "/spec/note", value: "y" }], jsonPatch],
    [`PATCH ${path}/a`, [{ op: "remove", path: "/spec/none" }], jsonPatch],
  );
  alike(
    "by operations that are none",
    [`PATCH ${path}/a`, [{ op: "eat", path: "/spec" }], jsonPatch],
    [`PATCH ${path}/a`, {}, jsonPatch],
  );
  alike("the status", [`PATCH ${path}/a/status`, { status: { phase: "Z" }, spec: { size: 77 } }, merge]);
  alike("what is not there", [`PATCH ${path}/none`, {}, merge]);
  alike(
    "as kubectl may not patch custom resources",
    [`PATCH ${path}/a`, {}, { "content-type": "application/strategic-merge-patch+json" }],
    [`PATCH ${path}/a`, {}, { "content-type": "application/json" }],
  );
  alike("only in thought", [`PATCH ${path}/a?dryRun=All`, { spec: { size: 99 } }, merge], [`GET ${path}/a`]);
  alike("by apply, without saying who", [`PATCH ${path}/s`, object("s"), apply]);
  alike(
    "by apply, which creates and then takes back",
    [`PATCH ${path}/s?fieldManager=m`, object("s", { size: 1, note: "x" }), apply],
    [`PATCH ${path}/s?fieldManager=m`, object("s", { size: 2 }), apply],
  );
  alike(
    "by apply, another's field",
    [`PATCH ${path}/s?fieldManager=o`, object("s", { size: 3 }), apply],
    [`PATCH ${path}/s?fieldManager=o&force=true`, object("s", { size: 3 }), apply],
  );
  alike("by apply, without saying what it is", [`PATCH ${path}/s?fieldManager=m`, { spec: {} }, apply]);
  alike("by apply, something that is not YAML", [`PATCH ${path}/s?fieldManager=m`, "a: b: c", apply]);
});

describe("listing", () => {
  alike("all", [`GET ${path}`], ["GET /apis/peers.pcg.dev/v1/gizmos"]);
  alike("in pages", [`GET ${path}?limit=2`], [`GET ${path}?limit=100`], [`GET ${path}?limit=x`]);
  refused("a page nobody gave out", [`GET ${path}?continue=nonsense`]);
  alike(
    "by selectors",
    [`GET ${path}?fieldSelector=metadata.name%3Da`],
    [`GET ${path}?fieldSelector=spec.size%3D1`],
    [`GET ${path}?fieldSelector=x`],
    [`GET ${path}?labelSelector=a%20b`],
    [`GET ${path}?labelSelector=!a`],
  );
  alike(
    "as tables",
    [`GET ${path}?includeObject=None`, undefined, { accept: "application/json;as=Table;g=meta.k8s.io;v=v1" }],
    [
      `GET ${path}/a?includeObject=Object`,
      undefined,
      { accept: "application/json;as=Table;g=meta.k8s.io;v=v1" },
    ],
  );
  alike(
    "as metadata",
    [
      `GET ${path}?limit=1`,
      undefined,
      { accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" },
    ],
    [`GET ${path}/a`, undefined, { accept: "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1" }],
  );
  alike("as something nobody writes", [`GET ${path}`, undefined, { accept: "text/html" }]);
});

describe("deleting", () => {
  alike(
    "another than meant",
    [`DELETE ${path}/a`, { preconditions: { uid: "another" } }],
    [`DELETE ${path}/a`, { preconditions: { resourceVersion: "1" } }],
  );
  refused("in a way nobody knows", [`DELETE ${path}/a?propagationPolicy=Sideways`]);
  alike("only in thought", [`DELETE ${path}/a?dryRun=All`], [`GET ${path}/a`]);
  alike("an object", [`DELETE ${path}/a`], [`DELETE ${path}/a`]);
  alike(
    "an object that is held",
    [`POST ${path}`, object("h", { size: 1 }, { finalizers: ["x.dev/hold"] })],
    [`DELETE ${path}/h`],
    [`DELETE ${path}/h`],
    [`PATCH ${path}/h`, { metadata: { finalizers: ["x.dev/hold", "x.dev/more"] } }, merge],
    [`PATCH ${path}/h`, { metadata: { finalizers: null } }, merge],
    [`GET ${path}/h`],
  );
  alike(
    "a collection",
    [`DELETE ${path}?labelSelector=none`],
    [`DELETE ${path}?fieldSelector=metadata.name%3Db`],
    [`DELETE ${path}`],
    [`GET ${path}`],
  );
});

describe("discovery", () => {
  alike("of the group and its version", ["GET /apis/peers.pcg.dev"], ["GET /apis/peers.pcg.dev/v1"]);
  refused("of what is not there", ["GET /apis/peers.pcg.dev/v9"], ["GET /apis/none.dev"], ["GET /nowhere"]);
});

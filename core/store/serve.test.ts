import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bench, widget, widgetsPath as path, type Bench, type Json } from "./serve/testing.ts";

let the: Bench;
beforeEach(async () => {
  the = await bench();
});
afterEach(() => the.close());

describe("objects over HTTP", () => {
  it("are created, read, replaced and deleted", async () => {
    const made = await the.ask(`POST ${path}`, widget("a", { size: 2 }));
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      apiVersion: "test.pcg.dev/v1",
      kind: "Widget",
      metadata: { name: "a", namespace: "n", generation: 1 },
    });

    const changed = { ...(made.body as object), spec: { size: 3 }, status: { phase: "ignored" } };
    const put = await the.ask(`PUT ${path}/a`, changed);
    expect(put.status).toBe(200);
    expect(put.body).toMatchObject({ spec: { size: 3 }, metadata: { generation: 2 } });
    expect(put.body["status"]).toBeUndefined();

    const status = await the.ask(`PUT ${path}/a/status`, {
      ...(put.body as object),
      status: { phase: "Ready" },
      spec: { size: 9 },
    });
    expect(status.body).toMatchObject({
      spec: { size: 3 },
      status: { phase: "Ready" },
      metadata: { generation: 2 },
    });
    expect((await the.ask(`GET ${path}/a/status`)).body).toEqual(status.body);

    const gone = await the.ask(`DELETE ${path}/a`);
    expect(gone.body).toMatchObject({
      kind: "Status",
      status: "Success",
      details: { name: "a", group: "test.pcg.dev", kind: "widgets" },
    });
    expect((await the.ask(`GET ${path}/a`)).status).toBe(404);
  });

  it("that are deleted with a finalizer come back as they are, with the time of deletion", async () => {
    await the.ask(`POST ${path}`, widget("a", {}, { finalizers: ["test.pcg.dev/hold"] }));
    const answer = await the.ask(`DELETE ${path}/a`, {
      kind: "DeleteOptions",
      apiVersion: "v1",
      propagationPolicy: "Background",
    });
    expect(answer.status).toBe(200);
    expect(answer.body["metadata"]?.["deletionTimestamp"]).toBeTypeOf("string");
  });

  it("are read in the version that is asked for", async () => {
    await the.ask(`POST ${path}`, widget("a"));
    expect((await the.ask(`GET ${path.replace("v1", "v2")}/a`)).body["apiVersion"]).toBe("test.pcg.dev/v2");
  });

  it("may be written in YAML, and read so", async () => {
    const yaml = "apiVersion: test.pcg.dev/v1\nkind: Widget\nmetadata: {name: y}\nspec: {size: 5}\n";
    expect((await the.ask(`POST ${path}`, yaml, { "content-type": "application/yaml" })).status).toBe(201);
    const read = await the.ask(`GET ${path}/y`, undefined, { accept: "application/yaml" });
    expect(read.body).toMatch(/^ {2}size: 5$/m);
  });

  it("are only pretended with dryRun", async () => {
    const made = await the.ask(`POST ${path}?dryRun=All`, widget("a"));
    expect(made.body).toMatchObject({ spec: { size: 1 }, metadata: { name: "a", generation: 1 } });
    expect((await the.ask(`GET ${path}/a`)).status).toBe(404);
    await the.ask(`POST ${path}`, widget("a"));
    expect((await the.ask(`POST ${path}?dryRun=All`, widget("a"))).status).toBe(409);
    const patched = await the.ask(`PATCH ${path}/a?dryRun=All`, { spec: { size: 7 } }, merge);
    expect(patched.body["spec"]).toEqual({ size: 7 });
    await the.ask(`DELETE ${path}/a?dryRun=All`);
    expect((await the.ask(`GET ${path}/a`)).body["spec"]).toEqual({ size: 1 });
    expect((await the.ask(`POST ${path}?dryRun=Some`, widget("b"))).status).toBe(422);
  });

  it("are deleted together by selector", async () => {
    for (const [name, color] of [
      ["a", "red"],
      ["b", "red"],
      ["c", "blue"],
    ] as const) {
      await the.ask(`POST ${path}`, widget(name, {}, { labels: { color } }));
    }
    await the.ask(`DELETE ${path}?labelSelector=color%3Dred`);
    expect(names((await the.ask(`GET ${path}`)).body)).toEqual(["c"]);
  });
});

describe("lists over HTTP", () => {
  beforeEach(async () => {
    for (const name of ["a", "b", "c", "d", "e"]) {
      await the.ask(
        `POST ${path}`,
        widget(name, {}, { labels: { name, odd: "ace".includes(name) ? "yes" : "no" } }),
      );
    }
    await the.ask(`POST ${path.replace("/n/", "/m/")}`, widget("elsewhere"));
  });

  it("come in pages that belong together", async () => {
    const first = await the.ask(`GET ${path}?limit=2`);
    expect(names(first.body)).toEqual(["a", "b"]);
    await the.ask(`DELETE ${path}/d`);
    const second = await the.ask(
      `GET ${path}?limit=2&continue=${encodeURIComponent(first.body["metadata"]!["continue"]!)}`,
    );
    expect(names(second.body)).toEqual(["c", "d"]);
    expect(second.body["metadata"]!["resourceVersion"]).toBe(first.body["metadata"]!["resourceVersion"]);
  });

  it.each([
    ["labelSelector=odd", ["a", "b", "c", "d", "e"]],
    ["labelSelector=odd%3Dyes", ["a", "c", "e"]],
    ["labelSelector=odd!%3Dyes", ["b", "d"]],
    ["labelSelector=name%20in%20(a,b),odd%3Dno", ["b"]],
    ["labelSelector=!odd", []],
    ["fieldSelector=metadata.name%3Dc", ["c"]],
    ["fieldSelector=metadata.name!%3Dc,metadata.namespace%3Dn", ["a", "b", "d", "e"]],
    ["fieldSelector=metadata.namespace%3Dm", []],
  ])("with %s", async (query, expected) => {
    expect(names((await the.ask(`GET ${path}?${query}`)).body)).toEqual(expected);
  });

  it("of all namespaces hold those of each", async () => {
    const all = await the.ask("GET /apis/test.pcg.dev/v1/widgets");
    expect(names(all.body)).toEqual(["elsewhere", "a", "b", "c", "d", "e"]);
    expect(all.body["kind"]).toBe("WidgetList");
  });

  it("come as tables or as metadata alone when asked so", async () => {
    const table = await the.ask(`GET ${path}?limit=1`, undefined, {
      accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    });
    expect(table.body).toMatchObject({
      kind: "Table",
      columnDefinitions: [{ name: "Name" }, { name: "Age" }],
    });
    expect(table.body["rows"]![0]!["cells"]![0]).toBe("a");
    expect(table.body["metadata"]!["continue"]).toBeTypeOf("string");
    const metadata = await the.ask(`GET ${path}`, undefined, {
      accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    });
    expect(metadata.body).toMatchObject({
      kind: "PartialObjectMetadataList",
      items: [{ kind: "PartialObjectMetadata" }, {}, {}, {}, {}],
    });
  });

  it("of events are selected by what they are about", async () => {
    for (const name of ["a", "b"]) {
      const involvedObject = { kind: "Widget", name };
      await the.ask("POST /api/v1/namespaces/n/events", { metadata: { name }, involvedObject });
    }
    const found = await the.ask(
      "GET /api/v1/namespaces/n/events?fieldSelector=involvedObject.name%3Db,involvedObject.kind%3DWidget",
    );
    expect(names(found.body)).toEqual(["b"]);
    expect((await the.ask(`GET ${path}?fieldSelector=spec.size%3D1`)).body["message"]).toBe(
      "field label not supported: spec.size",
    );
  });
});

const merge = { "content-type": "application/merge-patch+json" };

describe("patches over HTTP", () => {
  beforeEach(async () => {
    await the.ask(`POST ${path}`, widget("a", { size: 2, note: "x" }));
  });

  it("of all kinds change what they name", async () => {
    const merged = await the.ask(`PATCH ${path}/a`, { spec: { size: 3, note: null } }, merge);
    expect(merged.body["spec"]).toEqual({ size: 3 });
    const operations = [
      { op: "test", path: "/spec/size", value: 3 },
      { op: "add", path: "/spec/color", value: "red" },
    ];
    const byJson = await the.ask(`PATCH ${path}/a`, operations, {
      "content-type": "application/json-patch+json",
    });
    expect(byJson.body["spec"]).toEqual({ size: 3, color: "red" });
    const status = await the.ask(
      `PATCH ${path}/a/status`,
      { status: { phase: "P" }, spec: { size: 50 } },
      merge,
    );
    expect(status.body).toMatchObject({ spec: { size: 3 }, status: { phase: "P" } });
  });

  it("of the strategic kind are for built-in kinds only", async () => {
    const strategic = { "content-type": "application/strategic-merge-patch+json" };
    expect((await the.ask(`PATCH ${path}/a`, {}, strategic)).status).toBe(415);
    await the.ask("POST /api/v1/namespaces/n/configmaps", {
      metadata: { name: "c" },
      data: { a: "1", b: "2" },
    });
    const patched = await the.ask(
      "PATCH /api/v1/namespaces/n/configmaps/c",
      { data: { a: null, c: "3" } },
      strategic,
    );
    expect(patched.body["data"]).toEqual({ b: "2", c: "3" });
  });

  it("that name a stale revision conflict; others are tried again until they fit", async () => {
    const { resourceVersion } = (await the.ask(`GET ${path}/a`)).body["metadata"]!;
    const change = (size: number) =>
      the.ask(`PATCH ${path}/a`, { metadata: { resourceVersion }, spec: { size } }, merge);
    expect([(await change(3)).status, (await change(4)).status]).toEqual([200, 409]);
    const all = await Promise.all(
      Array.from({ length: 4 }, (_, i) =>
        the.ask(`PATCH ${path}/a`, { metadata: { labels: { [`l${i}`]: "x" } } }, merge),
      ),
    );
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(Object.keys((await the.ask(`GET ${path}/a`)).body["metadata"]!["labels"]!)).toHaveLength(4);
  });

  it("cannot rename an object", async () => {
    const answer = await the.ask(`PATCH ${path}/a`, { metadata: { name: "b" } }, merge);
    expect(answer.body).toMatchObject({
      code: 400,
      message: "the name of the object (b) does not match the name on the URL (a)",
    });
  });

  it("that apply create what is not there, and take back what they left out", async () => {
    const apply = { "content-type": "application/apply-patch+yaml" };
    const yaml = (spec: string) =>
      `apiVersion: test.pcg.dev/v1\nkind: Widget\nmetadata: {name: s}\nspec: ${spec}\n`;
    expect((await the.ask(`PATCH ${path}/s`, yaml("{}"), apply)).body["message"]).toMatch(
      /fieldManager: is required/,
    );
    const made = await the.ask(`PATCH ${path}/s?fieldManager=m`, yaml("{size: 2, note: x}"), apply);
    expect(made.status).toBe(201);
    const next = await the.ask(`PATCH ${path}/s?fieldManager=m`, yaml("{size: 3}"), apply);
    expect([next.status, next.body["spec"]]).toEqual([200, { size: 3 }]);
    const same = await the.ask(`PATCH ${path}/s?fieldManager=m`, yaml("{size: 3}"), apply);
    expect(same.body).toEqual(next.body);
    const other = await the.ask(`PATCH ${path}/s?fieldManager=o`, yaml("{size: 4}"), apply);
    expect(other.body).toMatchObject({
      code: 409,
      reason: "Conflict",
      message: 'Apply failed with 1 conflict: conflict with "m": .spec.size',
    });
    expect(
      (await the.ask(`PATCH ${path}/s?fieldManager=o&force=true`, yaml("{size: 4}"), apply)).status,
    ).toBe(200);
  });
});

describe("refusals over HTTP are Status objects in Kubernetes' words", () => {
  beforeEach(async () => {
    await the.ask(`POST ${path}`, widget("a"));
  });

  it.each<[string, string, unknown, number, string, string]>([
    [
      "an object that is not there",
      `GET ${path}/b`,
      undefined,
      404,
      "NotFound",
      'widgets.test.pcg.dev "b" not found',
    ],
    [
      "a name that is taken",
      `POST ${path}`,
      widget("a"),
      409,
      "AlreadyExists",
      'widgets.test.pcg.dev "a" already exists',
    ],
    [
      "a path that is nobody's",
      "GET /apis/test.pcg.dev/v1/namespaces/n/gizmos",
      undefined,
      404,
      "NotFound",
      "the server could not find the requested resource",
    ],
    [
      "a cluster-scoped kind in a namespace",
      "GET /apis/test.pcg.dev/v1/namespaces/n/gadgets",
      undefined,
      404,
      "NotFound",
      "the server could not find the requested resource",
    ],
    [
      "a method nobody has",
      `PUT ${path}`,
      widget("a"),
      405,
      "MethodNotAllowed",
      "the server does not allow this method on the requested resource (PUT)",
    ],
    [
      "another object than the path says",
      `PUT ${path}/a`,
      widget("b"),
      400,
      "BadRequest",
      "the name of the object (b) does not match the name on the URL (a)",
    ],
    [
      "another namespace",
      `POST ${path}`,
      widget("b", {}, { namespace: "m" }),
      400,
      "BadRequest",
      "the namespace of the provided object does not match the namespace sent on the request",
    ],
    ["a body that is not JSON", `POST ${path}`, "{", 400, "BadRequest", "the body is not JSON"],
    [
      "a selector nobody can read",
      `GET ${path}?labelSelector=a%20b`,
      undefined,
      400,
      "BadRequest",
      "unable to parse requirement",
    ],
    [
      "strictness and a strange field",
      `POST ${path}?fieldValidation=Strict`,
      widget("b", { sise: 1 }),
      400,
      "BadRequest",
      'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.sise"',
    ],
    ["a page of a list long forgotten", `GET ${path}?continue=nonsense`, undefined, 410, "Expired", ""],
  ])("%s", async (_name, line, body, code, reason, message) => {
    const answer = await the.ask(line, body);
    expect(answer.body).toMatchObject({ kind: "Status", apiVersion: "v1", status: "Failure", code, reason });
    expect(answer.status).toBe(code);
    expect(answer.body["message"]).toContain(message);
  });

  it("all mistakes at once, each with its field", async () => {
    const answer = await the.ask(`POST ${path}`, widget("b", { size: 0, color: "pink" }));
    expect(answer.body).toMatchObject({
      code: 422,
      reason: "Invalid",
      message: expect.stringMatching(
        /^Widget\.test\.pcg\.dev "b" is invalid: \[spec\.size: .*, spec\.color: .*\]$/,
      ) as string,
      details: {
        name: "b",
        group: "test.pcg.dev",
        kind: "Widget",
        causes: [{ field: "spec.size" }, { field: "spec.color" }],
      },
    });
  });

  it("a stale write", async () => {
    const { body } = await the.ask(`GET ${path}/a`);
    await the.ask(`PUT ${path}/a`, { ...(body as object), spec: { size: 2 } });
    const answer = await the.ask(`PUT ${path}/a`, { ...(body as object), spec: { size: 3 } });
    expect(answer.body).toMatchObject({
      code: 409,
      reason: "Conflict",
      message:
        'Operation cannot be fulfilled on widgets.test.pcg.dev "a": the object has been modified; please apply your changes to the latest version and try again',
    });
    const none = await the.ask(`PUT ${path}/a`, widget("a"));
    expect(none.body["message"]).toContain(
      "metadata.resourceVersion: Invalid value: 0: must be specified for an update",
    );
  });

  it("a deletion of another object than is there", async () => {
    const answer = await the.ask(`DELETE ${path}/a`, { preconditions: { uid: "another" } });
    expect(answer.body).toMatchObject({ code: 409, reason: "Conflict" });
    expect((await the.ask(`GET ${path}/a`)).status).toBe(200);
  });

  it("a strange field is only a warning unless strictness was asked for", async () => {
    const answer = await the.ask(`POST ${path}`, widget("b", { sise: 1 }));
    expect([answer.status, answer.headers.get("warning")]).toEqual([
      201,
      '299 - "unknown field \\"spec.sise\\""',
    ]);
    expect(
      (await the.ask(`POST ${path}?fieldValidation=Ignore`, widget("c", { sise: 1 }))).headers.get("warning"),
    ).toBeNull();
  });
});

function names(list: Json): string[] {
  return (list["items"] as Json[]).map((item) => item["metadata"]!["name"] as string);
}

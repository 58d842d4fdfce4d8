import { afterAll, beforeAll, expect, test } from "vitest";
import { Secret, silentLogger, systemClock } from "#core";
import { pair, planeHttp } from "#tunnel/identity/index.ts";
import { planeClient } from "../client.ts";
import { fakeHub, openFake, testPlane, type TestPlane } from "../testing.ts";
import { startPlane } from "../start.ts";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

let t: TestPlane;
beforeAll(async () => (t = await testPlane()));
afterAll(() => t.end());

async function raw(
  method: string,
  path: string,
  options: { body?: string; headers?: Record<string, string>; anonymous?: boolean } = {},
) {
  const answer = await fetch(t.plane.url + path, {
    method,
    headers: {
      ...(options.anonymous ? {} : { ApiKey: t.apiKey.reveal() }),
      ...(options.body === undefined ? {} : { "content-type": "application/json" }),
      ...options.headers,
    },
    ...(options.body === undefined ? {} : { body: options.body }),
  });
  const text = await answer.text();
  return {
    status: answer.status,
    headers: answer.headers,
    body: text === "" ? undefined : (JSON.parse(text) as Record<string, unknown>),
  };
}

interface OpenApi {
  openapi: string;
  paths: Record<
    string,
    Record<
      string,
      {
        summary?: string;
        security?: unknown[];
        parameters?: { in: string; name: string }[];
        responses: Record<string, { content?: object }>;
        requestBody?: object;
      }
    >
  >;
  components: { schemas: Record<string, object> };
}
const openApi = async () => (await t.client.openApi()) as OpenApi;

test("the OpenAPI document has every call this plane answers, and nothing in it hangs in the air", async () => {
  const document = await openApi();
  expect(document.openapi).toBe("3.0.3");
  const calls = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(calls.toSorted()).toEqual(
    [
      "DELETE /v1/apiKeys/{uid}",
      "DELETE /v1/cloudconfigs/vsphere/{configUid}/machinePools/{machinePoolName}",
      "DELETE /v1/overlords/{uid}",
      "DELETE /v1/spectroclusters/{uid}",
      "DELETE /v1/spectroclusters/vsphere/{uid}",
      "GET /v1/apiKeys",
      "GET /v1/cloudaccounts/vsphere",
      "GET /v1/cloudaccounts/vsphere/{uid}",
      "GET /v1/events/components/{objectKind}/{objectUid}",
      "GET /v1/health",
      "GET /v1/overlords",
      "GET /v1/overlords/pairing/code",
      "GET /v1/overlords/vsphere/{uid}/pools",
      "GET /v1/overlords/{uid}",
      "GET /v1/overlords/{uid}/events",
      "GET /v1/pcg/crl",
      "GET /v1/projects",
      "GET /v1/spectroclusters",
      "GET /v1/spectroclusters/vsphere",
      "GET /v1/spectroclusters/{uid}",
      "GET /v1/spectroclusters/{uid}/conditions",
      "GET /v1/spectroclusters/{uid}/events",
      "GET /v1/spectroclusters/{uid}/status",
      "POST /v1/agents/register",
      "POST /v1/apiKeys",
      "POST /v1/cloudconfigs/vsphere/{configUid}/machinePools",
      "POST /v1/overlords/{uid}/resync",
      "POST /v1/overlords/{uid}/revoke",
      "POST /v1/pcg/register",
      "POST /v1/pcg/renew",
      "POST /v1/pcg/{uid}/register",
      "POST /v1/projects",
      "POST /v1/spectroclusters/vsphere",
      "PUT /v1/cloudconfigs/vsphere/{configUid}/machinePools/{machinePoolName}",
      "PUT /v1/overlords/{uid}/metadata",
    ].toSorted(),
  );
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, call] of Object.entries(methods)) {
      const where = `${method} ${path}`;
      expect(call.summary, where).toBeTruthy();
      expect(Object.keys(call.responses), where).toContain("default");
      expect(
        Object.keys(call.responses).some((status) => /^20[0-9]$/.test(status)),
        where,
      ).toBe(true);
      const declared = (call.parameters ?? []).filter((p) => p.in === "path").map((p) => p.name);
      expect(declared.toSorted(), where).toEqual(
        [...path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).toSorted(),
      );
    }
  }
  const text = JSON.stringify(document);
  for (const name of Object.keys(document.components.schemas))
    expect(text, name).toContain(`schemas/${name}"`);
  expect(document.paths["/v1/overlords/{uid}/metadata"]?.["put"]?.responses["204"]).toEqual({
    description: "No content",
  });
  for (const ref of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
    expect(document.components.schemas, ref[1]).toHaveProperty([ref[1] ?? ""]);
  }
  for (const name of ["Overlord", "SpectroCluster", "SpectroVsphereClusterEntity", "Error", "Event"])
    expect(document.components.schemas).toHaveProperty(name);
});

test("every call but those of pairing, renewal and health wants an API key", async () => {
  const { paths } = await openApi();
  const open = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, call]) =>
      call.security?.length === 0 ? [`${method} ${path}`] : [],
    ),
  );
  expect(open.toSorted()).toEqual([
    "get /v1/health",
    "get /v1/pcg/crl",
    "post /v1/agents/register",
    "post /v1/pcg/register",
    "post /v1/pcg/renew",
  ]);
  for (const [path, methods] of Object.entries(paths)) {
    for (const method of Object.keys(methods)) {
      if (open.includes(`${method} ${path}`)) continue;
      const url = path.replace(/\{\w+\}/g, "x");
      const { status, body } = await raw(method.toUpperCase(), url, { anonymous: true });
      expect({ url, status, code: body?.["code"] }).toEqual({ url, status: 401, code: "Unauthorized" });
    }
  }
});

test.each<[string, string, string, string | undefined, number, string, RegExp]>([
  [
    "an unknown cluster",
    "GET",
    "/v1/spectroclusters/nope",
    undefined,
    404,
    "ResourceNotFound",
    /^cluster 'nope' was not found$/,
  ],
  [
    "an unknown gateway",
    "GET",
    "/v1/overlords/nope",
    undefined,
    404,
    "ResourceNotFound",
    /^private cloud gateway 'nope' was not found$/,
  ],
  [
    "a path that is not there",
    "GET",
    "/v1/packs",
    undefined,
    404,
    "RouteNotFound",
    /there is no GET \/v1\/packs/,
  ],
  [
    "a body that is no JSON",
    "POST",
    "/v1/spectroclusters/vsphere",
    "{",
    422,
    "MalformedRequest",
    /cannot be read/,
  ],
  [
    "a body of the wrong shape",
    "POST",
    "/v1/spectroclusters/vsphere",
    '{"metadata":{"name":5}}',
    422,
    "ValidationFailed",
    /metadata\.name: .*; spec: /,
  ],
  [
    "a query out of range",
    "GET",
    "/v1/spectroclusters/x/events?limit=0",
    undefined,
    422,
    "ValidationFailed",
    /querystring\.limit: /,
  ],
  [
    "a cloud we do not have",
    "GET",
    "/v1/overlords/pairing/code?cloudType=maas",
    undefined,
    422,
    "ValidationFailed",
    /querystring\.cloudType: /,
  ],
  [
    "a registration without proof",
    "POST",
    "/v1/pcg/register",
    '{"codeId":"x","csr":""}',
    422,
    "ValidationFailed",
    /codeId: .*; proof: /,
  ],
])("an error has Palette's shape: %s", async (_name, method, path, body, status, code, message) => {
  const answer = await raw(method, path, body === undefined ? {} : { body });
  expect(answer.status).toBe(status);
  expect(answer.body).toMatchObject({
    code,
    message: expect.stringMatching(message) as string,
    ref: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
  });
});

test("all mistakes of shape are in details", async () => {
  const body = JSON.stringify({
    metadata: { name: 1, labels: { a: 2 } },
    spec: { machinepoolconfig: [{ poolConfig: { size: "three" } }] },
  });
  const { body: answer } = await raw("POST", "/v1/spectroclusters/vsphere", { body });
  expect((answer?.["details"] as { problems: { field: string }[] }).problems.map((p) => p.field)).toEqual([
    "metadata.name",
    "metadata.labels.a",
    "spec.machinepoolconfig[0].poolConfig.size",
  ]);
});

test("an API key of one project sees that project only, and makes neither projects nor keys", async () => {
  const admin = planeHttp({ url: t.plane.url });
  const headers = { ApiKey: t.apiKey.reveal() };
  const { uid: projectUid } = (await admin.call({
    method: "POST",
    path: "/v1/projects",
    headers,
    body: { metadata: { name: "shop" } },
  })) as { uid: string };
  const made = (await admin.call({
    method: "POST",
    path: "/v1/apiKeys",
    headers,
    body: { metadata: { name: "ci" }, spec: { projectUid } },
  })) as { uid: string; apiKey: string };
  const ci = planeClient({ url: t.plane.url, apiKey: new Secret(made.apiKey) });
  expect(await ci.clusters()).toEqual([]);
  const asCi = { ApiKey: made.apiKey };
  await expect(
    admin.call({ method: "POST", path: "/v1/projects", headers: asCi, body: { metadata: { name: "x" } } }),
  ).rejects.toMatchObject({ code: "Forbidden" });
  const foreign = { ...asCi, ProjectUid: t.plane.projectUid };
  await expect(
    admin.call({ method: "GET", path: "/v1/spectroclusters", headers: foreign }),
  ).rejects.toMatchObject({ code: "Forbidden" });
  await expect(
    admin.call({ method: "POST", path: "/v1/projects", headers, body: { metadata: { name: "shop" } } }),
  ).rejects.toThrow("a project called 'shop' exists already");
  const keys = (await admin.call({ method: "GET", path: "/v1/apiKeys", headers })) as { items: unknown[] };
  expect(keys.items).toHaveLength(2);
  expect(JSON.stringify(keys)).not.toContain(made.apiKey);
  await admin.call({ method: "DELETE", path: `/v1/apiKeys/${made.uid}`, headers });
  await expect(ci.clusters()).rejects.toMatchObject({
    code: "Unauthorized",
    message: "the API key is unknown or was revoked",
  });
  await ci.close();
  await admin.close();
});

test("who calls too often is told to wait, in the same shape", async () => {
  const limited = await testPlane({ rates: { calls: 3, registrations: 1 } });
  const http = planeHttp({ url: limited.plane.url });
  const register = () => http.call({ method: "POST", path: "/v1/pcg/register", body: {} });
  await expect(register()).rejects.toMatchObject({ code: "Invalid" });
  const fault = await register().catch((e: unknown) => e);
  expect(fault).toMatchObject({
    code: "Busy",
    message: expect.stringMatching(/^more than 1 calls a minute came from this address/) as string,
  });
  expect((fault as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(1000);
  await http.close();
  await limited.end();
});

test("with TLS the plane shows a certificate of its own authority, and a client that does not know it refuses", async () => {
  const tls = await testPlane({ tls: undefined }, systemClock);
  expect(tls.plane.url).toMatch(/^https:/);
  expect(await tls.client.overlords()).toEqual([]);
  const stranger = planeClient({ url: tls.plane.url, apiKey: tls.apiKey });
  await expect(stranger.overlords()).rejects.toMatchObject({
    code: "Unavailable",
    message: expect.stringMatching(/its certificate is not trusted; give the plane's CA file$/) as string,
  });
  await stranger.close();
  const dataDir = await mkdtemp(join(tmpdir(), "pcg-gw-"));
  const { pairingCode: code } = await tls.client.pairingCode();
  const pairing = (ca: string) =>
    pair({ planeUrl: tls.plane.url, ca, code, dataDir, clock: systemClock, log: silentLogger });
  await expect(pairing(t.plane.caPem)).rejects.toThrow(/its certificate is not trusted/);
  await expect(pairing(tls.plane.caPem)).resolves.toMatchObject({ role: "gateway" });
  await rm(dataDir, { recursive: true });
  await tls.end();
});

test("without TLS the plane listens on loopback only", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "pcg-plane-"));
  const start = (host: string) =>
    startPlane(
      { dataDir, listen: { host, port: 0 }, tunnelListen: { host: "127.0.0.1", port: 0 }, tls: "off" },
      { clock: systemClock, log: silentLogger, random: () => 0, openHub: openFake(fakeHub()) },
      new AbortController().signal,
    );
  await expect(start("0.0.0.0")).rejects.toThrow("the plane does not listen on 0.0.0.0 without TLS");
  await rm(dataDir, { recursive: true });
});

test("a plane that cannot listen says where, and lets go of its data", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "pcg-plane-"));
  const port = Number(new URL(t.plane.url).port);
  const start = (at: number) =>
    startPlane(
      {
        dataDir,
        listen: { host: "127.0.0.1", port: at },
        tunnelListen: { host: "127.0.0.1", port: 0 },
        tls: "off",
      },
      { clock: systemClock, log: silentLogger, random: () => 0, openHub: openFake(fakeHub()) },
      new AbortController().signal,
    );
  await expect(start(port)).rejects.toThrow(`the plane cannot listen on 127.0.0.1:${port}`);
  const plane = await start(0);
  expect(plane.apiKey).toBeDefined(); // the start that failed has not spent it
  await plane.close();
  await plane.close();
  await rm(dataDir, { recursive: true });
});

test("an aborted signal closes the plane", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "pcg-plane-"));
  const stop = new AbortController();
  const plane = await startPlane(
    {
      dataDir,
      listen: { host: "127.0.0.1", port: 0 },
      tunnelListen: { host: "127.0.0.1", port: 0 },
      tls: "off",
    },
    { clock: systemClock, log: silentLogger, random: () => 0, openHub: openFake(fakeHub()) },
    stop.signal,
  );
  stop.abort();
  await plane.close();
  await expect(fetch(`${plane.url}/v1/health`)).rejects.toThrow();
  await rm(dataDir, { recursive: true });
});

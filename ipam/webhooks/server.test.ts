// The webhooks as an API server meets them: over TLS, at upstream's paths, judging by what the store holds.
import { request } from "node:https";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silentLogger, type Kind, type OwnedStore, type Resource } from "#core";
import { makeAuthority } from "#core/net/authority.ts";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { systemClock } from "#core";
import { inClusterPoolKinds, ipAddress } from "#proto";
import { validationPath } from "../program/registration.ts";
import { isPrefixPool, type Pool } from "../words.ts";
import { skipDeleteAnnotation } from "./admission.ts";
import { serveWebhooks, type WebhookServer } from "./server.ts";

let store: OwnedStore;
let server: WebhookServer;
let ca: string;

beforeAll(async () => {
  const authority = await makeAuthority("webhooks", systemClock, 1);
  const pair = await authority.issue({ name: "localhost", hosts: ["localhost"] });
  ca = authority.certificate;
  store = memoryStore({ clock: fakeClock() });
  server = await serveWebhooks(
    { store, log: silentLogger },
    { host: "127.0.0.1", port: 0 },
    { cert: pair.certificate, key: pair.key.reveal() },
  );
});
afterAll(async () => {
  await server?.close();
  await store?.close();
});

interface Answer {
  readonly status: number;
  readonly body: {
    readonly response?: { allowed?: boolean; patch?: string; status?: { code: number; message: string } };
  };
}

function ask(path: string, body: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = JSON.stringify(body);
    const asked = request(
      { host: "127.0.0.1", servername: "localhost", port: server.port, path, method: "POST", ca },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            body: JSON.parse(Buffer.concat(chunks).toString("utf8")) as Answer["body"],
          }),
        );
      },
    );
    asked.on("error", reject);
    asked.end(text);
  });
}

const place = (kind: Kind, name: string) => (kind.namespaced ? { namespace: "c", name } : { name });
const made = (kind: Kind, name: string, change: object = {}): Pool => {
  const isPrefixes = kind.kind.includes("Prefix");
  const spec = isPrefixes
    ? { prefixes: ["2001:db8::/48"], allocationPrefixLength: 64, ...change }
    : { addresses: ["10.0.0.10-10.0.0.20"], prefix: 24, ...change };
  return {
    apiVersion: `${kind.group}/${kind.version}`,
    kind: kind.kind,
    metadata: place(kind, name),
    spec,
  } as unknown as Pool;
};

describe.each(inClusterPoolKinds.map((kind) => [kind.kind, kind as Kind] as const))("%s", (_, kind) => {
  const review = (operation: string, object: Resource | undefined, oldObject?: Resource) =>
    ask(validationPath(kind), {
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      request: {
        uid: "u",
        operation,
        kind: { group: kind.group, version: kind.version, kind: kind.kind },
        ...(object ? { object } : {}),
        ...(oldObject ? { oldObject } : {}),
      },
    });
  const used = made(kind, "used");
  const shrunk = made(
    kind,
    "used",
    isPrefixPool(used) ? { prefixes: ["2001:db8:0:8000::/49"] } : { addresses: ["10.0.0.13-10.0.0.20"] },
  );

  beforeAll(async () => {
    await store.create(ipAddress, {
      metadata: { namespace: "c", name: `of-${kind.singular}` },
      spec: {
        address: isPrefixPool(used) ? "2001:db8::" : "10.0.0.12",
        prefix: isPrefixPool(used) ? 64 : 24,
        claimRef: { name: "a" },
        poolRef: { apiGroup: kind.group, kind: kind.kind, name: "used" },
      },
    });
  });

  test("is not deleted while it has addresses, unless it says so; without them it is", async () => {
    const { body } = await review("DELETE", undefined, used);
    expect(body.response).toMatchObject({ allowed: false, status: { code: 400 } });
    expect(body.response?.status?.message).toContain(
      "Cannot delete Pool until all IPAddresses have been removed",
    );
    const skipping = {
      ...used,
      metadata: { ...used.metadata, annotations: { [skipDeleteAnnotation]: "" } },
    };
    expect((await review("DELETE", undefined, skipping)).body.response?.allowed).toBe(true);
    expect((await review("DELETE", undefined, made(kind, "idle"))).body.response?.allowed).toBe(true);
  });

  test("is not made smaller than what is in use", async () => {
    expect((await review("UPDATE", shrunk, used)).body.response).toMatchObject({
      allowed: false,
      status: { code: 400 },
    });
    const idle = made(kind, "idle");
    const less = { ...shrunk, metadata: idle.metadata } as Pool;
    expect((await review("UPDATE", less, idle)).body.response?.allowed).toBe(true);
  });

  test.each([
    ["as it is", {}],
    ["with a gateway", { gateway: "10.0.0.1" }],
    ["of nothing", { addresses: [], prefixes: [] }],
    ["with exclusions", { excludedAddresses: ["10.0.0.12"] }],
    ["that cannot be", { prefix: 99, allocationPrefixLength: 0 }],
  ])("nothing of it is changed on the way: %s", async (_name, change) => {
    for (const operation of ["CREATE", "UPDATE"]) {
      const path = validationPath(kind).replace("validate", "mutate");
      const object = made(kind, "new", change);
      const { status, body } = await ask(path, { request: { uid: "u", operation, kind, object } });
      expect(status).toBe(200);
      expect(body.response).toEqual({ uid: "u", allowed: true });
    }
  });
});

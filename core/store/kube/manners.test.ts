// The Kubernetes store and servers with bad manners. What good servers do is in the contract suite.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { isFault, type Fault } from "../../fault.ts";
import { fakeClock, type FakeClock } from "../../time/fake-clock.ts";
import { widgets } from "../contract.ts";
import { kubeStore } from "../kube-store.ts";
import type { OwnedStore, WatchEvent } from "../store.ts";

type Handle = (request: IncomingMessage, response: ServerResponse, count: number) => void;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Served {
  readonly store: OwnedStore;
  readonly clock: FakeClock;
  readonly asked: string[];
  /** The connections on which something was asked. */
  readonly lines: ReadonlySet<unknown>;
}

async function server(handle: Handle): Promise<Served> {
  const asked: string[] = [];
  const lines = new Set<unknown>();
  const http = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    lines.add(request.socket);
    handle(request, response, asked.length);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const clock = fakeClock();
  const { port } = http.address() as AddressInfo;
  const store = await kubeStore(
    { server: `http://127.0.0.1:${port}` },
    { clock, timeoutMs: 30_000, idleMs: 75_000 },
  );
  closers.push(async () => {
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });
  closers.push(() => store.close());
  return { store, clock, asked, lines };
}

function answer(response: ServerResponse, status: number, body: unknown, headers = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

function event(type: string, resourceVersion: string, name = "a"): string {
  return `${JSON.stringify({ type, object: { metadata: { name, namespace: "n", resourceVersion } } })}\n`;
}

async function until(reached: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !reached(); i++) await new Promise((resolve) => setTimeout(resolve, 2));
  expect(reached()).toBe(true);
}

/** Follows Widgets after revision 5; `end` resolves to the fault, or to undefined after a quiet end. */
function follow(store: OwnedStore) {
  const stop = new AbortController();
  const told: string[] = [];
  const end = (async (): Promise<Fault | undefined> => {
    try {
      for await (const each of store.watch(widgets, { after: "5", namespace: "n" }, stop.signal)) {
        told.push(story(each));
      }
      return undefined;
    } catch (error) {
      if (isFault(error)) return error;
      throw error;
    }
  })();
  return { told, end, stop: () => stop.abort() };
}

function story(each: WatchEvent): string {
  return `${each.type} ${each.revision}`;
}

const key = { name: "a", namespace: "n" };

describe("answers", () => {
  const refusals: [number, object, object][] = [
    [401, { reason: "Unauthorized" }, { code: "Unauthorized" }],
    [403, { reason: "Forbidden" }, { code: "Forbidden" }],
    [409, { reason: "AlreadyExists" }, { code: "AlreadyExists" }],
    [409, { reason: "Conflict" }, { code: "Conflict" }],
    [410, { reason: "Expired" }, { code: "Gone" }],
    [429, { reason: "TooManyRequests" }, { code: "Busy", retryAfterMs: 7000 }],
    [500, { reason: "InternalError" }, { code: "Unavailable" }],
    [503, {}, { code: "Unavailable" }],
    [504, { reason: "Timeout" }, { code: "TimedOut" }],
    [
      422,
      { reason: "Invalid", details: { causes: [{ field: "spec.size", message: "too big" }] } },
      { code: "Invalid", problems: [{ field: "spec.size", message: "too big" }] },
    ],
  ];
  test.each(refusals)("status %i %j is %j", async (status, body, fault) => {
    const { store } = await server((_, response) =>
      answer(response, status, { kind: "Status", message: "no", ...body }, { "retry-after": "7" }),
    );
    await expect(store.create(widgets, { metadata: key })).rejects.toMatchObject({
      message: "creating Widget n/a: no",
      ...fault,
    });
  });

  test("a kind that the server does not know is told from an object that is not there", async () => {
    const { store } = await server((_, response) => response.writeHead(404).end("404 page not found\n"));
    await expect(store.get(widgets, key)).rejects.toMatchObject({
      code: "NotFound",
      message: expect.stringMatching(/is its CRD installed/) as string,
    });
  });

  test("many objects are deleted over one connection", async () => {
    const { store, lines } = await server((_, response) => answer(response, 200, { kind: "Status" }));
    for (let each = 0; each < 20; each++) await store.delete(widgets, key);
    expect(lines.size).toBeLessThanOrEqual(2);
  });

  test("a server that accepts and says nothing is TimedOut", async () => {
    const { store, clock, asked } = await server(() => {});
    const reading = store.get(widgets, key).catch((error: unknown) => error);
    await until(() => asked.length === 1);
    await clock.advance(30_000);
    expect(await reading).toMatchObject({ code: "TimedOut" });
    expect(clock.pending).toBe(0);
  });

  test("a server that stops in the middle of its answer is TimedOut", async () => {
    const { store, clock, asked } = await server((_, response) => response.writeHead(200).write('{"metad'));
    const reading = store.get(widgets, key).catch((error: unknown) => error);
    await until(() => asked.length === 1);
    await clock.advance(30_000);
    expect(await reading).toMatchObject({ code: "TimedOut" });
  });

  test("no server is Unavailable, and names the address", async () => {
    const { store } = await server((request) => request.socket.destroy());
    await expect(store.list(widgets)).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringMatching(/listing widgets\.test\.pcg\.dev at http:\/\/127\.0\.0\.1/) as string,
    });
  });

  test("reading can be cancelled", async () => {
    const { store, asked } = await server(() => {});
    const stop = new AbortController();
    const reading = store.list(widgets, {}, stop.signal).catch((error: unknown) => error);
    await until(() => asked.length === 1);
    stop.abort();
    expect(await reading).toMatchObject({ code: "Cancelled" });
  });

  test("closing ends requests and watches, and later ones fail", async () => {
    const { store, asked } = await server(() => {});
    const reading = store.get(widgets, key).catch((error: unknown) => error);
    const watch = follow(store);
    await until(() => asked.length === 2);
    await store.close();
    await store.close();
    expect(await reading).toMatchObject({ code: "Unavailable" });
    expect(await watch.end).toMatchObject({ code: "Unavailable" });
    await expect(store.get(widgets, key)).rejects.toMatchObject({ code: "Unavailable" });
  });
});

describe("watches", () => {
  test("one that the server closes in good order goes on from its last revision", async () => {
    const { store, asked } = await server((_, response, count) => {
      response.writeHead(200).write(event("BOOKMARK", `${count}0`));
      if (count < 3) response.end(event("ADDED", `${count}1`));
    });
    const watch = follow(store);
    await until(() => watch.told.length === 5);
    watch.stop();
    expect(await watch.end).toBeUndefined();
    expect(watch.told).toEqual(["Bookmark 10", "Added 11", "Bookmark 20", "Added 21", "Bookmark 30"]);
    expect(asked.map((url) => /resourceVersion=(\d+)/.exec(url)?.[1])).toEqual(["5", "11", "21"]);
  });

  test("events may come in pieces, or several at once, in letters of several bytes", async () => {
    const { store } = await server((_, response) => {
      const bytes = Buffer.from(event("ADDED", "6", "ä") + event("MODIFIED", "7", "€"));
      response.writeHead(200).write(bytes.subarray(0, 41));
      setTimeout(() => response.write(bytes.subarray(41, 42)), 5);
      setTimeout(() => response.write(bytes.subarray(42)), 10);
    });
    const watch = follow(store);
    await until(() => watch.told.length === 2);
    watch.stop();
    await watch.end;
    expect(watch.told).toEqual(["Added 6", "Modified 7"]);
  });

  test("one that falls silent is dialled again; where that is silent, too, it is over", async () => {
    const { store, clock, asked } = await server((_, response, count) => {
      if (count <= 2) response.writeHead(200).write(event("ADDED", `${count}0`));
    });
    const watch = follow(store);
    await until(() => watch.told.length === 1);
    await clock.advance(75_000);
    await until(() => watch.told.length === 2);
    await clock.advance(75_000);
    await until(() => asked.length === 3);
    await clock.advance(30_000);
    expect(await watch.end).toMatchObject({ code: "Unavailable" });
    expect(clock.pending).toBe(0);
  });

  test("a slow reader is not taken for silence", async () => {
    const { store, clock } = await server((_, response) => {
      response.writeHead(200).write(event("ADDED", "6") + event("ADDED", "7", "b"));
    });
    const stop = new AbortController();
    const told: string[] = [];
    for await (const each of store.watch(widgets, { after: "5" }, stop.signal)) {
      told.push(story(each));
      await clock.advance(600_000);
      if (told.length === 2) stop.abort();
    }
    expect(told).toEqual(["Added 6", "Added 7"]);
  });

  test("one whose line breaks is Unavailable", async () => {
    const { store } = await server((_, response) => {
      response.writeHead(200).write(event("ADDED", "6"), () => response.destroy());
    });
    const watch = follow(store);
    expect(await watch.end).toMatchObject({ code: "Unavailable" });
    expect(watch.told).toEqual(["Added 6"]);
  });

  test("one that the server ends at once, again and again, is Unavailable", async () => {
    const { store, asked } = await server((_, response) => response.writeHead(200).end());
    expect(await follow(store).end).toMatchObject({ code: "Unavailable" });
    expect(asked).toHaveLength(1);
  });

  const tooOld = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };
  test("too old is Gone, whether the server says so by status or in the stream", async () => {
    const byStatus = await server((_, response) => answer(response, 410, tooOld));
    expect(await follow(byStatus.store).end).toMatchObject({ code: "Gone" });
    const inStream = await server((_, response) => {
      response.writeHead(200).write(`${JSON.stringify({ type: "ERROR", object: tooOld })}\n`);
    });
    expect(await follow(inStream.store).end).toMatchObject({ code: "Gone" });
  });

  test("what cannot be read is Unavailable, not a crash", async () => {
    const { store } = await server((_, response) => response.writeHead(200).write("<html>\n"));
    expect(await follow(store).end).toMatchObject({ code: "Unavailable" });
  });
});

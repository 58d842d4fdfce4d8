// Watches over HTTP: what a client reads, line by line.
import { request, type IncomingMessage } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fakeClock } from "../../time/fake-clock.ts";
import { Fault } from "../../fault.ts";
import type { ResourceStore } from "../store.ts";
import { widgets } from "../contract/kinds.ts";
import { bench, memory, serve, widget, widgetsPath as path, type Bench, type Json } from "./testing.ts";

let the: Bench;
const open: Follower[] = [];
beforeEach(async () => {
  the = await bench();
});
afterEach(async () => {
  for (const follower of open.splice(0)) follower.drop();
  await the.close();
});

describe("a watch over HTTP", () => {
  it("tells what changes after a revision, each thing once and in order", async () => {
    await the.ask(`POST ${path}`, widget("before"));
    const follower = await follow(`?watch=true&resourceVersion=${await revision()}`);
    await the.ask(`POST ${path}`, widget("a"));
    await the.ask(`PATCH ${path}/a`, { spec: { size: 2 } }, merge);
    await the.ask(`DELETE ${path}/a`);
    expect(await follower.story(3)).toEqual(["ADDED a", "MODIFIED a", "DELETED a"]);
  });

  it("without a revision begins with what is there", async () => {
    for (const name of ["a", "b"]) await the.ask(`POST ${path}`, widget(name));
    const follower = await follow("?watch=1");
    await the.ask(`POST ${path}`, widget("c"));
    expect(await follower.story(3)).toEqual(["ADDED a", "ADDED b", "ADDED c"]);
  });

  it("with sendInitialEvents says where the beginning ends", async () => {
    await the.ask(`POST ${path}`, widget("a"));
    const follower = await follow(
      "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
    );
    const [, bookmark] = await follower.events(2);
    expect(bookmark).toMatchObject({
      type: "BOOKMARK",
      object: {
        kind: "Widget",
        metadata: { annotations: { "k8s.io/initial-events-end": "true" }, resourceVersion: await revision() },
      },
    });
  });

  it("shows only what is selected, and says Deleted when something falls out of sight", async () => {
    const follower = await follow("?watch=1&labelSelector=on%3Dyes");
    await the.ask(`POST ${path}`, widget("a", {}, { labels: { on: "yes" } }));
    await the.ask(`POST ${path}`, widget("b", {}, { labels: { on: "no" } }));
    await the.ask(`PATCH ${path}/b`, { metadata: { labels: { on: "yes" } } }, merge);
    await the.ask(`PATCH ${path}/a`, { metadata: { labels: { on: "no" } } }, merge);
    expect(await follower.story(3)).toEqual(["ADDED a", "ADDED b", "DELETED a"]);
  });

  it("by name follows one object", async () => {
    const follower = await follow("?watch=1&fieldSelector=metadata.name%3Db");
    for (const name of ["a", "b", "c"]) await the.ask(`POST ${path}`, widget(name));
    await the.ask(`DELETE ${path}/b`);
    expect(await follower.story(2)).toEqual(["ADDED b", "DELETED b"]);
  });

  it("as a table has its heads in the first event only", async () => {
    const follower = await follow("?watch=1", { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" });
    for (const name of ["a", "b"]) await the.ask(`POST ${path}`, widget(name));
    const [first, second] = await follower.events(2);
    expect(first).toMatchObject({
      object: { kind: "Table", columnDefinitions: [{ name: "Name" }, { name: "Age" }] },
    });
    expect(second).toMatchObject({
      object: { columnDefinitions: null, rows: [{ object: { metadata: { name: "b" } } }] },
    });
  });

  it("from a revision long forgotten is told so, and ends", async () => {
    const store = memory();
    const lost = {
      ...bound(store),
      watch: () => failing(new Fault("Gone", "revision 1 is no longer remembered")),
    };
    const served = await serve(lost);
    const follower = await follow("?watch=1&resourceVersion=1", {}, served.url);
    const [event] = await follower.events(1);
    expect(event).toMatchObject({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired" } });
    await follower.end();
    await served.close();
    await store.close();
  });

  it("that is silent for a minute says where it stands, if the client wants to hear it", async () => {
    const clock = fakeClock();
    const served = await serve(the.store, { clock });
    const follower = await follow("?watch=1&allowWatchBookmarks=true", {}, served.url);
    const other = await follow("?watch=1", {}, served.url);
    await the.ask(`POST ${path}`, widget("a"));
    for (const each of [follower, other]) expect(await each.story(1)).toEqual(["ADDED a"]);
    await clock.advance(60_000);
    const [, bookmark] = await follower.events(2);
    expect(bookmark).toMatchObject({
      type: "BOOKMARK",
      object: { kind: "Widget", metadata: { resourceVersion: await revision() } },
    });
    expect(other.seen).toBe(1);
    await served.close();
  });

  it("ends when its time is up", async () => {
    const clock = fakeClock();
    const served = await serve(the.store, { clock });
    const follower = await follow("?watch=1&timeoutSeconds=10", {}, served.url);
    await the.ask(`POST ${path}`, widget("a"));
    expect(await follower.story(1)).toEqual(["ADDED a"]);
    await clock.advance(10_000);
    await follower.end();
    await served.close();
  });

  it("ends when the server closes, and the server closes although it is watched", async () => {
    const served = await serve(the.store);
    const follower = await follow("?watch=1", {}, served.url);
    await served.close();
    await follower.end();
  });

  it("that nobody reads is cut, and holds up no one else", async () => {
    const clock = fakeClock();
    const served = await serve(the.store, { clock, slowWatcherMs: 5000 });
    const slow = await follow("?watch=1", {}, served.url);
    const quick = await follow("?watch=1", {}, served.url);
    slow.pause();
    const note = "x".repeat(500_000);
    for (let i = 0; i < 40; i++)
      await the.store.create(widgets, { metadata: { name: `w${i}`, namespace: "n" }, spec: { note } });
    await quick.events(40);
    await waitFor(() => clock.pending > 4); // two watches' ends and bookmarks, and the slow one's patience
    await clock.advance(5000);
    slow.resume();
    await slow.end();
    expect(slow.seen).toBeLessThan(40);
    await served.close();
  });
});

const merge = { "content-type": "application/merge-patch+json" };

async function revision(): Promise<string> {
  return (await the.ask(`GET ${path}`)).body["metadata"]!["resourceVersion"]!;
}

function bound(store: ResourceStore): ResourceStore {
  return {
    get: store.get.bind(store),
    list: store.list.bind(store),
    create: store.create.bind(store),
    update: store.update.bind(store),
    updateStatus: store.updateStatus.bind(store),
    delete: store.delete.bind(store),
    watch: store.watch.bind(store),
  };
}

async function* failing(fault: Fault): AsyncGenerator<never> {
  await Promise.resolve();
  throw fault;
}

async function waitFor(reached: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5000; !reached();) {
    if (Date.now() > deadline) throw new Error("waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Reads a watch. */
class Follower {
  readonly #response: IncomingMessage;
  readonly #lines: Json[] = [];
  #rest = "";
  #ended = false;

  constructor(response: IncomingMessage) {
    this.#response = response;
    response.setEncoding("utf8").on("data", (text: string) => {
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop()!;
      for (const line of lines) this.#lines.push(JSON.parse(line) as Json);
    });
    response.on("close", () => (this.#ended = true)).on("error", () => (this.#ended = true));
  }

  get seen(): number {
    return this.#lines.length;
  }

  async events(count: number): Promise<readonly Json[]> {
    await waitFor(() => this.#lines.length >= count);
    return this.#lines;
  }

  async story(count: number): Promise<string[]> {
    return (await this.events(count)).map(
      (event) => `${event["type"]} ${event["object"]!["metadata"]!["name"]}`,
    );
  }

  end(): Promise<void> {
    return waitFor(() => this.#ended);
  }

  pause(): void {
    this.#response.pause();
  }

  resume(): void {
    this.#response.resume();
  }

  drop(): void {
    this.#response.destroy();
  }
}

function follow(
  query: string,
  headers: Record<string, string> = {},
  url = the.served.url,
): Promise<Follower> {
  return new Promise((resolve, reject) => {
    const asked = request(`${url}${path}${query}`, { headers }, (response) => {
      const follower = new Follower(response);
      open.push(follower);
      resolve(follower);
    });
    asked.on("error", reject).end();
  });
}

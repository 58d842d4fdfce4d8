// For this folder's tests: a face over a memory store, and a plain HTTP client that shows everything.
import { silentLogger } from "../../log.ts";
import { defineKind, type Kind } from "../../resource/kind.ts";
import { systemClock } from "../../time/clock.ts";
import { memoryStore } from "../memory-store.ts";
import { serveStore, type ServedStore, type ServeOptions } from "../serve.ts";
import type { OwnedStore, ResourceStore } from "../store.ts";
import { configMaps, gadgets, namespaces, widgets, widgetsV2 } from "../contract/kinds.ts";

export const events: Kind = defineKind({
  group: "",
  version: "v1",
  kind: "Event",
  plural: "events",
  shortNames: ["ev"],
  hasStatus: false,
});

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** The body, read as JSON where it is JSON. */
  readonly body: Json;
}

/** JSON of which a test knows what is in it. */
export type Json = { readonly [member: string]: Json } & Json[] & string & number;

export interface Bench {
  readonly store: OwnedStore;
  readonly served: ServedStore;
  /** "GET /apis", with a body that is sent as JSON unless the headers say otherwise. */
  ask(line: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>;
  close(): Promise<void>;
}

export const widgetsPath = "/apis/test.pcg.dev/v1/namespaces/n/widgets";

export async function bench(
  options: Partial<ServeOptions> = {},
  store: OwnedStore = memory(),
): Promise<Bench> {
  const served = await serve(store, options);
  return {
    store,
    served,
    async ask(line, body, headers = {}) {
      const [method, path] = line.split(" ") as [string, string];
      const response = await fetch(served.url + path, {
        method,
        headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      const json = (response.headers.get("content-type") ?? "").startsWith("application/json");
      return {
        status: response.status,
        headers: response.headers,
        body: (json ? JSON.parse(text) : text) as Json,
      };
    },
    async close() {
      await served.close();
      await store.close();
    },
  };
}

export function memory(): OwnedStore {
  return memoryStore({ clock: systemClock, requireNamespaces: false });
}

export function serve(store: ResourceStore, options: Partial<ServeOptions> = {}): Promise<ServedStore> {
  return serveStore(store, {
    kinds: [widgets, widgetsV2, gadgets, configMaps, namespaces, events],
    listen: { host: "127.0.0.1", port: 0 },
    log: silentLogger,
    clock: systemClock,
    ...options,
  });
}

export function widget(name: string, spec: object = {}, metadata: object = {}): object {
  return { apiVersion: "test.pcg.dev/v1", kind: "Widget", metadata: { name, ...metadata }, spec };
}

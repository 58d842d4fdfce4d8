// What we ask of etcd ourselves, through its JSON gateway on the socket (etcd.io: "gRPC gateway"). 64-bit numbers are strings there.
import { request, type IncomingMessage } from "node:http";
import { Fault } from "#core";

export interface EtcdStatus {
  readonly revision: number;
  /** Bytes of the database's file, and of what is used in it. */
  readonly dbSize: number;
  readonly dbSizeInUse: number;
  readonly quota: number;
}

/** What Kubernetes' objects look like from far: enough to see that something changed. */
export interface Census {
  readonly revision: number;
  /** Objects, without events and leases, which come and go by themselves. */
  readonly objects: number;
  /** Those of them that were written after the revision that was asked for. */
  readonly changed: number;
}

export interface Etcd {
  status(signal?: AbortSignal): Promise<EtcdStatus>;
  /** Objects now, and how many of them changed after this revision. */
  census(after: number, signal?: AbortSignal): Promise<Census>;
  hasSpaceAlarm(signal?: AbortSignal): Promise<boolean>;
  /** Forgets what was before this revision. False, and nothing happens, when that is forgotten already. */
  compact(revision: number, signal?: AbortSignal): Promise<boolean>;
  /** Gives space in the file back to the disk. Nobody can read or write meanwhile. */
  defragment(signal?: AbortSignal): Promise<void>;
  clearSpaceAlarm(signal?: AbortSignal): Promise<void>;
  /** The database as of now, chunk by chunk, its SHA-256 at the end. */
  snapshot(signal?: AbortSignal): AsyncGenerator<Buffer, void, undefined>;
}

export function etcdAt(socketPath: string): Etcd {
  const ask = async (path: string, body: unknown, signal?: AbortSignal) => {
    const response = await post(socketPath, path, body, signal);
    let text = "";
    for await (const chunk of response.setEncoding("utf8")) text += chunk;
    return JSON.parse(text) as Record<string, unknown>;
  };
  const spaceAlarms = async (signal?: AbortSignal) => {
    const { alarms = [] } = await ask("/v3/maintenance/alarm", { action: "GET" }, signal);
    const list = alarms as readonly { readonly memberID?: string; readonly alarm?: string }[];
    return list.filter(({ alarm }) => alarm === "NOSPACE");
  };
  return {
    async status(signal) {
      const { header, dbSize, dbSizeInUse, dbSizeQuota } = await ask("/v3/maintenance/status", {}, signal);
      return {
        revision: revisionOf(header),
        dbSize: Number(dbSize),
        dbSizeInUse: Number(dbSizeInUse),
        quota: Number(dbSizeQuota),
      };
    },
    async census(after, signal) {
      const all = prefix("/registry/");
      const { header, count } = await ask("/v3/kv/range", { ...all, count_only: true }, signal);
      let objects = Number(count ?? 0);
      for (const own of ["/registry/events/", "/registry/leases/"]) {
        const some = await ask("/v3/kv/range", { ...prefix(own), count_only: true }, signal);
        objects -= Number(some["count"] ?? 0);
      }
      const since = { ...all, keys_only: true, min_mod_revision: String(after + 1) };
      const { kvs = [] } = (await ask("/v3/kv/range", since, signal)) as { kvs?: readonly { key: string }[] };
      const keys = kvs.map(({ key }) => Buffer.from(key, "base64").toString());
      const changed = keys.filter((key) => !/^\/registry\/(events|leases)\//.test(key)).length;
      return { revision: revisionOf(header), objects, changed };
    },
    hasSpaceAlarm: async (signal) => (await spaceAlarms(signal)).length > 0,
    async compact(revision, signal) {
      const body = { revision: String(revision), physical: true };
      try {
        await ask("/v3/kv/compaction", body, signal);
        return true;
      } catch (error) {
        if (!/has been compacted/.test(String(error))) throw error;
        return false;
      }
    },
    async defragment(signal) {
      await ask("/v3/maintenance/defragment", {}, signal);
    },
    async clearSpaceAlarm(signal) {
      for (const { memberID, alarm } of await spaceAlarms(signal)) {
        await ask("/v3/maintenance/alarm", { action: "DEACTIVATE", memberID, alarm }, signal);
      }
    },
    async *snapshot(signal) {
      const response = await post(socketPath, "/v3/maintenance/snapshot", {}, signal);
      for await (const line of linesOf(response)) {
        const { result, error } = JSON.parse(line) as {
          result?: { blob?: string };
          error?: { message?: string };
        };
        if (error) throw new Fault("Unavailable", `etcd's snapshot: ${error.message ?? "it broke off"}`);
        if (result?.blob) yield Buffer.from(result.blob, "base64");
      }
    },
  };
}

function revisionOf(header: unknown): number {
  return Number((header as { revision?: string } | undefined)?.revision ?? 0);
}

/** All keys that begin with this. */
function prefix(text: string): { key: string; range_end: string } {
  const end = text.slice(0, -1) + String.fromCharCode(text.charCodeAt(text.length - 1) + 1);
  return { key: Buffer.from(text).toString("base64"), range_end: Buffer.from(end).toString("base64") };
}

function post(
  socketPath: string,
  path: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown) => reject(Fault.from(error, `asking etcd for ${path}`));
    const asked = request({ socketPath, path, method: "POST", agent: false, ...(signal ? { signal } : {}) });
    asked.once("error", failed);
    asked.once("response", (response) => {
      if (response.statusCode === 200) return resolve(response);
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.once("end", () =>
        reject(new Fault("Unavailable", `asking etcd for ${path}: status ${response.statusCode}: ${text}`)),
      );
    });
    asked.end(JSON.stringify(body));
  });
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string, void, undefined> {
  let rest = "";
  for await (const chunk of response.setEncoding("utf8") as AsyncIterable<string>) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part) yield part;
  }
  if (rest) yield rest;
}

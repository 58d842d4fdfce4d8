// A ResourceStore over a Kubernetes API. The API server keeps R1 to R13; what is done here is the translation, and:
//
//   K1. What the store alone may write is not sent (R7): a server refuses what we promise to ignore.
//   K2. A write without a revision reads the present one and tries again while others are faster (R2).
//   K3. A watch that ends or falls silent is dialled again from the last revision; where that fails it ends with Unavailable. So a
//       half-open line is noticed within idleMs + timeoutMs, and one that the server closes in good order is not noticed at all.
//   K4. Every request has a time-out; nothing outlives close().
import { Fault, isFault } from "../fault.ts";
import { apiVersionOf, groupResource, type Kind } from "../resource/kind.ts";
import type { Draft, Key, ObjectMeta, Resource } from "../resource/meta.ts";
import { formatSelector, type LabelSelector } from "../resource/selector.ts";
import type { Clock } from "../time/clock.ts";
import { title } from "./decide.ts";
import { KubeClient, lineFault } from "./kube/client.ts";
import { connectionFrom, type KubeAccess } from "./kube/connection.ts";
import { lines, Silence } from "./kube/lines.ts";
import { faultOf, isMissingObject } from "./kube/status.ts";
import type {
  DeleteOptions,
  List,
  ListOptions,
  OwnedStore,
  Revision,
  ServerSide,
  WatchEvent,
} from "./store.ts";

export type { KubeAccess, KubeConnection } from "./kube/connection.ts";

export interface KubeStoreDeps {
  readonly clock: Clock;
  /** For one request, milliseconds; 30 s unless told. */
  readonly timeoutMs?: number;
  /** How long a watch may be silent before it is dialled anew (K3), milliseconds; 75 s unless told: a server sends a bookmark a minute. */
  readonly idleMs?: number;
}

/** Opens no connection yet. Invalid when the kubeconfig or the address cannot be used. */
export async function kubeStore(access: KubeAccess, deps: KubeStoreDeps): Promise<OwnedStore> {
  const connection = await connectionFrom(access);
  const { clock, timeoutMs = 30_000, idleMs = 75_000 } = deps;
  return new KubeStore(new KubeClient(connection, clock, timeoutMs), clock, idleMs);
}

/** How often a write without a revision is tried (K2). */
const tries = 20;

/** A watch that ends sooner than this without an event is not dialled again at once. */
const shortLineMs = 1000;

class KubeStore implements OwnedStore, ServerSide {
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #idleMs: number;

  constructor(client: KubeClient, clock: Clock, idleMs: number) {
    this.#client = client;
    this.#clock = clock;
    this.#idleMs = idleMs;
  }

  async get<R extends Resource>(kind: Kind<R>, key: Key, signal?: AbortSignal): Promise<R | undefined> {
    const doing = `reading ${title(kind, { metadata: key })}`;
    const answer = await this.#client.ask({ method: "GET", path: objectPath(kind, key), doing, signal });
    if (answer.status === 404 && isMissingObject(answer.body)) return undefined;
    if (answer.status >= 300) throw named(kind, doing, answer);
    return received<R>(kind, answer.body);
  }

  async list<R extends Resource>(
    kind: Kind<R>,
    options: ListOptions = {},
    signal?: AbortSignal,
  ): Promise<List<R>> {
    const { namespace, labels, name, limit, next } = options;
    const doing = `listing ${groupResource(kind)}`;
    const answer = await this.#client.ask({
      method: "GET",
      path: collectionPath(kind, namespace),
      query: {
        ...selecting(labels),
        fieldSelector: name ? `metadata.name=${name}` : undefined,
        limit: limit && limit > 0 ? String(limit) : undefined,
        continue: next,
      },
      doing,
      signal,
    });
    if (answer.status >= 300) throw named(kind, doing, answer);
    const body = answer.body as {
      readonly metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
      readonly items: readonly unknown[] | null;
    };
    const { resourceVersion, continue: more, remainingItemCount } = body.metadata;
    return {
      items: (body.items ?? []).map((item) => received<R>(kind, item)),
      revision: resourceVersion,
      ...(more ? { next: more } : {}),
      ...(more && remainingItemCount !== undefined ? { remaining: remainingItemCount } : {}),
    };
  }

  create<R extends Resource>(kind: Kind<R>, draft: Draft<R>): Promise<R> {
    return this.#post(kind, draft, "creating");
  }

  tryCreate<R extends Resource>(kind: Kind<R>, draft: Draft<R>, signal?: AbortSignal): Promise<R> {
    return this.#post(kind, draft, "trying to create", { dryRun: "All" }, signal);
  }

  async apply<R extends Resource>(kind: Kind<R>, draft: Draft<R>, manager: string): Promise<R> {
    const { name = "", namespace } = draft.metadata;
    const key = namespace ? { name, namespace } : { name };
    const metadata = writable(draft.metadata);
    delete metadata.resourceVersion;
    const body = await this.#client.fetch({
      method: "PATCH",
      path: objectPath(kind, key),
      query: { fieldManager: manager, force: "true" },
      contentType: "application/apply-patch+yaml", // JSON is YAML
      body: { ...draft, ...typeOf(kind), metadata },
      doing: `applying ${title(kind, { metadata: key })}`,
    });
    return received<R>(kind, body);
  }

  async #post<R extends Resource>(
    kind: Kind<R>,
    draft: Draft<R>,
    verb: string,
    query: Readonly<Record<string, string>> = {},
    signal?: AbortSignal,
  ): Promise<R> {
    const { name, generateName, namespace } = draft.metadata;
    const metadata = writable(draft.metadata);
    delete metadata.uid;
    delete metadata.resourceVersion;
    const doing = `${verb} ${title(kind, { metadata: { name: name ?? `${generateName ?? ""}…`, ...(namespace ? { namespace } : {}) } })}`;
    if (kind.namespaced && !namespace) {
      throw new Fault("Invalid", `${doing}: metadata.namespace is required`, {
        problems: [{ field: "metadata.namespace", message: "is required" }],
      });
    }
    const answer = await this.#client.ask({
      method: "POST",
      path: collectionPath(kind, namespace),
      query,
      body: { ...draft, ...typeOf(kind), metadata },
      doing,
      signal,
    });
    if (answer.status >= 300) throw named(kind, doing, answer);
    return received<R>(kind, answer.body);
  }

  update<R extends Resource>(kind: Kind<R>, object: R): Promise<R> {
    return this.#put(kind, object, "");
  }

  async updateStatus<R extends Resource>(kind: Kind<R>, object: R): Promise<R> {
    if (!kind.hasStatus) throw new Fault("Bug", `${kind.kind} has no status apart: use update`);
    return this.#put(kind, object, "/status");
  }

  async #put<R extends Resource>(kind: Kind<R>, object: R, part: "" | "/status"): Promise<R> {
    const doing = `writing ${part ? "the status of " : ""}${title(kind, object)}`;
    const path = objectPath(kind, object.metadata) + part;
    const send = async (resourceVersion: string) => {
      const metadata = { ...writable(object.metadata), resourceVersion };
      const body = { ...object, ...typeOf(kind), metadata };
      return received<R>(kind, await this.#client.fetch({ method: "PUT", path, body, doing }));
    };
    if (object.metadata.resourceVersion) return send(object.metadata.resourceVersion);

    for (let attempt = 1; ; attempt++) {
      const current = await this.get(kind, object.metadata); // K2
      if (!current) throw new Fault("NotFound", `${doing}: it does not exist`);
      const { uid } = object.metadata;
      if (uid && uid !== current.metadata.uid) {
        throw new Fault("Conflict", `${doing}: it is another one than meant, of uid ${current.metadata.uid}`);
      }
      try {
        return await send(current.metadata.resourceVersion);
      } catch (error) {
        if (!isFault(error, "Conflict") || attempt >= tries) throw error;
      }
    }
  }

  async delete<R extends Resource>(
    kind: Kind<R>,
    key: Key,
    options: DeleteOptions = {},
  ): Promise<R | undefined> {
    const { propagation = "Background", uid, resourceVersion } = options;
    const preconditions = { ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) };
    const body = (await this.#client.fetch({
      method: "DELETE",
      path: objectPath(kind, key),
      body: { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: propagation, preconditions },
      doing: `deleting ${title(kind, { metadata: key })}`,
    })) as Resource;
    // Servers answer with a Status or with the object, deleted or not.
    if (body.kind === "Status" || body.metadata?.deletionTimestamp === undefined) return undefined;
    const held = (body.metadata.finalizers?.length ?? 0) > 0 || groupResource(kind) === "namespaces";
    return held ? received<R>(kind, body) : undefined;
  }

  async *watch<R extends Resource>(
    kind: Kind<R>,
    options: { readonly after: Revision; readonly namespace?: string; readonly labels?: LabelSelector },
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<R>, void, undefined> {
    try {
      let at = options.after || (await this.#now(kind, options.namespace, signal));
      while (!signal.aborted) {
        const began = this.#clock.now();
        let heard = false;
        for await (const event of this.#line(kind, { ...options, after: at }, signal)) {
          heard = true;
          at = event.revision;
          yield event;
          if (signal.aborted) return;
        }
        if (!heard && this.#clock.now() - began < shortLineMs && !signal.aborted) {
          throw new Fault(
            "Unavailable",
            `watching ${groupResource(kind)}: the server ended the watch at once`,
          );
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isFault(error, "TimedOut")) throw error;
      throw new Fault("Unavailable", error.message, { cause: error }); // whoever follows knows two ends: this and Gone
    }
  }

  async #now(kind: Kind, namespace: string | undefined, signal: AbortSignal): Promise<Revision> {
    return (await this.list(kind, { ...(namespace ? { namespace } : {}), limit: 1 }, signal)).revision;
  }

  /** One watch request, until it ends in good order or falls silent (K3). */
  async *#line<R extends Resource>(
    kind: Kind<R>,
    { after, namespace, labels }: { after: Revision; namespace?: string; labels?: LabelSelector },
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<R>, void, undefined> {
    const doing = `watching ${groupResource(kind)}`;
    const { chunks, hangUp } = await this.#client.stream({
      method: "GET",
      path: collectionPath(kind, namespace),
      query: { watch: "1", resourceVersion: after, allowWatchBookmarks: "true", ...selecting(labels) },
      doing,
      signal,
    });
    try {
      for await (const line of lines(chunks, { clock: this.#clock, idleMs: this.#idleMs })) {
        if (line.trim()) yield told<R>(kind, line, doing);
      }
    } catch (error) {
      if (error instanceof Silence) return;
      if (this.#client.closed) throw new Fault("Unavailable", `${doing}: the store is closed`);
      throw lineFault(error, doing);
    } finally {
      hangUp();
    }
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

function typeOf(kind: Kind): { apiVersion: string; kind: string } {
  return { apiVersion: apiVersionOf(kind), kind: kind.kind };
}

function collectionPath(kind: Kind, namespace: string | undefined): string {
  const root = kind.group ? `/apis/${kind.group}/${kind.version}` : `/api/${kind.version}`;
  const within = kind.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${root}${within}/${kind.plural}`;
}

function objectPath(kind: Kind, { name, namespace }: Key): string {
  if (!name || (kind.namespaced && !namespace)) {
    const field = name ? "metadata.namespace" : "metadata.name";
    throw new Fault(
      "Invalid",
      `a ${kind.kind} is named by its name${kind.namespaced ? " and namespace" : ""}`,
      { problems: [{ field, message: "is required" }] },
    );
  }
  return `${collectionPath(kind, namespace)}/${encodeURIComponent(name)}`;
}

function selecting(labels: LabelSelector | undefined): { labelSelector?: string } {
  return labels && labels.length > 0 ? { labelSelector: formatSelector(labels) } : {};
}

/** K1 */
function writable(metadata: Partial<ObjectMeta>): Partial<ObjectMeta> {
  const {
    creationTimestamp: _c,
    deletionTimestamp: _d,
    deletionGracePeriodSeconds: _g,
    generation: _n,
    managedFields: _m,
    ...rest
  } = metadata;
  return rest;
}

/** The server's object as ours: lists leave out the type, and nobody here wants to know who managed which field. */
function received<R extends Resource>(kind: Kind<R>, body: unknown): R {
  const object = body as Resource;
  delete object.metadata.managedFields;
  return { ...object, ...typeOf(kind) } as R;
}

function told<R extends Resource>(kind: Kind<R>, line: string, doing: string): WatchEvent<R> {
  let read: { type: string; object: Resource & { code?: number } };
  try {
    read = JSON.parse(line) as typeof read;
  } catch (cause) {
    throw new Fault("Unavailable", `${doing}: the server's answer is no watch`, { cause });
  }
  const { type, object } = read;
  const event = (name: "Added" | "Modified" | "Deleted") => {
    const ours = received(kind, object);
    return { type: name, object: ours, revision: ours.metadata.resourceVersion };
  };
  switch (type) {
    case "ADDED":
      return event("Added");
    case "MODIFIED":
      return event("Modified");
    case "DELETED":
      return event("Deleted");
    case "BOOKMARK":
      return { type: "Bookmark", revision: object.metadata.resourceVersion };
    case "ERROR":
      throw faultOf(doing, { status: object.code ?? 500, body: object });
    default:
      throw new Fault("Unavailable", `${doing}: the server told something unknown, "${type}"`);
  }
}

/** A 404 for a whole kind says what to do about it. */
function named(kind: Kind, doing: string, answer: { status: number; body: unknown }): Fault {
  if (answer.status === 404 && !isMissingObject(answer.body)) {
    return new Fault(
      "NotFound",
      `${doing}: the server does not know ${groupResource(kind)} in version ${kind.version}; is its CRD installed?`,
    );
  }
  return faultOf(doing, answer);
}

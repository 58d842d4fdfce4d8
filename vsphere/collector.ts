// Reading properties: of single objects, of everything below a container, page by page; and waiting until some change.
import { Fault, isFault } from "#core";
import type { Session } from "./session.ts";
import type { ManagedName, Property, Read, Ref, Write } from "./soap/types.ts";

/** Properties by path. One may be absent: unset, or not readable for this account. */
export type Values<M extends ManagedName, P extends string> = { readonly [K in P]?: Property<M, K> };

export interface Found<M extends ManagedName, P extends string> {
  readonly ref: Ref;
  readonly values: Values<M, P>;
}

const pageSize = 500;

/** Reads `paths` of these objects, in no certain order. Objects that are gone are left out. */
export async function readObjects<M extends ManagedName, const P extends string>(
  session: Session,
  type: M,
  refs: readonly Ref[],
  paths: readonly P[],
  signal?: AbortSignal,
): Promise<Found<M, P>[]> {
  if (refs.length === 0) return [];
  const objectSet = refs.map((obj) => ({ obj }));
  const spec = { propSet: [{ type, pathSet: paths }], objectSet, reportMissingObjectsInResults: true };
  return (await retrieve(session, spec, signal)) as Found<M, P>[];
}

/** Reads `paths` of one object; undefined when it is gone. */
export async function readObject<M extends ManagedName, const P extends string>(
  session: Session,
  type: M,
  ref: Ref,
  paths: readonly P[],
  signal?: AbortSignal,
): Promise<Values<M, P> | undefined> {
  return (await readObjects(session, type, [ref], paths, signal))[0]?.values;
}

/** Reads `paths` of every object of `type` (and its subtypes) below `container`, however deep. */
export async function readAll<M extends ManagedName, const P extends string>(
  session: Session,
  container: Ref,
  type: M,
  paths: readonly P[],
  signal?: AbortSignal,
): Promise<Found<M, P>[]> {
  return (await readKinds(session, container, { [type]: paths }, signal)) as Found<M, P>[];
}

/** An object and what was read of it; `ref.type` tells which of the kinds asked for it is (or which subtype). */
export interface Seen {
  readonly ref: Ref;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Reads objects of several kinds below `container` in one go. No kind may be a subtype of another. */
export async function readKinds(
  session: Session,
  container: Ref,
  kinds: Readonly<Record<string, readonly string[]>>,
  signal?: AbortSignal,
): Promise<Seen[]> {
  const { viewManager } = await session.content(signal);
  const type = Object.keys(kinds);
  const view = await session.call(
    viewManager!,
    "CreateContainerView",
    { container, type, recursive: true },
    { signal, doing: `listing each ${type.join(", ")}` },
  );
  try {
    const selectSet = [
      { $type: "TraversalSpec", name: "view", type: "ContainerView", path: "view" },
    ] as const;
    const propSet = Object.entries(kinds).map(([kind, pathSet]) => ({ type: kind, pathSet }));
    return await retrieve(session, { propSet, objectSet: [{ obj: view, skip: true, selectSet }] }, signal);
  } finally {
    await session.call(view, "DestroyView", {}).catch(ignoreFault);
  }
}

async function retrieve(
  session: Session,
  spec: Write<"PropertyFilterSpec">,
  signal: AbortSignal | undefined,
): Promise<Seen[]> {
  const { propertyCollector } = await session.content(signal);
  const doing = `reading properties of ${spec.propSet?.[0]?.type ?? "objects"}`;
  const all: Read<"ObjectContent">[] = [];
  let page = await session.call(
    propertyCollector,
    "RetrievePropertiesEx",
    { specSet: [spec], options: { maxObjects: pageSize } },
    { signal, doing },
  );
  while (page) {
    all.push(...page.objects);
    const token: string | undefined = page.token;
    if (token === undefined) break;
    page = await session.call(
      propertyCollector,
      "ContinueRetrievePropertiesEx",
      { token },
      { signal, doing },
    );
  }
  return all.map(({ obj, propSet }) => ({
    ref: obj,
    values: Object.fromEntries(propSet.map(({ name, val }) => [name, val])),
  }));
}

export interface Watched<M extends ManagedName> {
  readonly ref: Ref;
  readonly type: M;
}

/**
 * Waits until `decide`, given the latest values of `paths` of one object, answers something else than undefined; it is asked at
 * once and after each change. Rejects with Cancelled on abort (the wait at the server is ended too), NotFound when the object goes.
 */
export async function waitForProperties<M extends ManagedName, const P extends string, T>(
  session: Session,
  watched: Watched<M>,
  paths: readonly P[],
  decide: (values: Values<M, P>) => T | undefined,
  signal?: AbortSignal,
): Promise<T> {
  const { propertyCollector } = await session.content(signal);
  const doing = `waiting for ${watched.type} ${watched.ref.value}`;
  const collector = await session.call(propertyCollector, "CreatePropertyCollector", {}, { signal, doing });
  try {
    const spec = { propSet: [{ type: watched.type, pathSet: paths }], objectSet: [{ obj: watched.ref }] };
    await session.call(collector, "CreateFilter", { spec, partialUpdates: false }, { signal, doing });
    const values: Record<string, unknown> = {};
    for (let version = ""; ;) {
      const updates = await session.call(
        collector,
        "WaitForUpdatesEx",
        { version, options: { maxWaitSeconds: 60 } },
        { signal, doing, poll: true, timeoutMs: 90_000 },
      );
      if (!updates) continue; // time over without a change
      version = updates.version;
      for (const { objectSet } of updates.filterSet) for (const update of objectSet) apply(values, update);
      const decision = decide(values as Values<M, P>);
      if (decision !== undefined) return decision;
    }
  } catch (error) {
    if (signal?.aborted) await session.call(collector, "CancelWaitForUpdates", {}).catch(ignoreFault);
    throw error;
  } finally {
    await session.call(collector, "DestroyPropertyCollector", {}).catch(ignoreFault);
  }
}

function apply(values: Record<string, unknown>, update: Read<"ObjectUpdate">): void {
  if (update.kind === "leave") throw new Fault("NotFound", `${update.obj.type} ${update.obj.value} is gone`);
  for (const { name, op, val } of update.changeSet) {
    if (op === "remove" || op === "indirectRemove") delete values[name];
    else values[name] = val;
  }
}

/** Tidying up at the server may fail: the session's end tidies as well. */
function ignoreFault(error: unknown): void {
  if (!isFault(error)) throw error;
}

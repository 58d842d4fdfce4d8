// What a write makes of an object: R1 to R7 and R13 of store.ts, as pure functions of what is stored and what is wanted.
// A function returns the change to make, or undefined where nothing changes (R5), or throws the Fault that the caller gets.
import { Fault, type Problem } from "../fault.ts";
import { copyJson, sameJson } from "../resource/json.ts";
import { apiVersionOf, groupResource, type Kind } from "../resource/kind.ts";
import { keyOf, keyText, type Draft, type ObjectMeta, type Resource } from "../resource/meta.ts";
import { metaProblems } from "../resource/names.ts";
import { closingNamespace, isHeldOpen, isNamespace, openNamespace } from "./namespaces.ts";
import type { Change, Place } from "./rows.ts";
import type { DeleteOptions, Precondition } from "./store.ts";

/** Finalizers that stand for a way of deleting; the collector serves them. Kubernetes' names. */
export const orphanFinalizer = "orphan";
export const foregroundFinalizer = "foregroundDeletion";

/** What the store adds to a new object. */
export interface Birth {
  readonly name: string;
  readonly uid: string;
  /** RFC 3339. */
  readonly now: string;
}

/** The object that a draft asks for, with defaults, checked (R13). A status is dropped where it is a subresource (R3). */
export function admitDraft(kind: Kind, draft: Draft<Resource>, birth: Birth): Resource {
  const wanted = copyJson(draft) as Resource;
  const { labels, annotations, finalizers, ownerReferences, managedFields, namespace, generateName } =
    wanted.metadata;
  const metadata = tidy({
    name: birth.name,
    ...(generateName ? { generateName } : {}),
    ...(namespace !== undefined ? { namespace } : {}),
    uid: birth.uid,
    resourceVersion: "",
    generation: 1,
    creationTimestamp: birth.now,
    ...(labels ? { labels } : {}),
    ...(annotations ? { annotations } : {}),
    ...(finalizers ? { finalizers } : {}),
    ...(ownerReferences ? { ownerReferences } : {}),
    ...(managedFields ? { managedFields } : {}),
  });
  const content = contentOf(wanted);
  if (kind.hasStatus) delete content.status;
  const object = admitted(kind, assemble(kind, metadata, content), [
    ...kindProblems(kind, wanted),
    ...scopeProblems(kind, namespace),
    ...metaProblems(kind.group, metadata),
  ]);
  return isNamespace({ resource: groupResource(kind) }) ? openNamespace(object) : object;
}

/** R1. `namespace` is the Namespace object of the place, where there is one. */
export function decideCreate(
  kind: Kind,
  object: Resource,
  seen: { readonly current: Resource | undefined; readonly namespace?: Resource | undefined },
  options: { readonly requireNamespace: boolean },
): Change {
  const within = object.metadata.namespace;
  if (seen.current) throw new Fault("AlreadyExists", `${title(kind, object)} already exists`);
  if (within !== undefined && seen.namespace?.metadata.deletionTimestamp) {
    throw new Fault(
      "Forbidden",
      `${title(kind, object)} cannot be created: namespace ${within} is being deleted`,
    );
  }
  if (within !== undefined && options.requireNamespace && !seen.namespace) {
    throw new Fault(
      "NotFound",
      `${title(kind, object)} cannot be created: there is no namespace ${within}; create it first`,
    );
  }
  return { type: "Added", object };
}

/** Everything but status, metadata of the caller's included (R2 to R7, R13). `object` is the caller's; it is not changed. */
export function decideUpdate(
  kind: Kind,
  object: Resource,
  current: Resource | undefined,
): Change | undefined {
  if (!current) throw missing(kind, object);
  checkPrecondition(kind, current, object.metadata);
  const wanted = copyJson(object);
  const metadata = nextMetadata(current.metadata, wanted.metadata);
  const problems = [
    ...kindProblems(kind, wanted),
    ...metaProblems(kind.group, metadata),
    ...finalizerProblems(current, metadata),
  ];

  let content = contentOf(wanted);
  if (kind.hasStatus) restore(content, current, "status");
  if (isNamespace({ resource: groupResource(kind) })) {
    content.spec = { ...(content.spec as object | undefined), ...pickFinalizers(current) };
  }
  const old = contentOf(current);
  if (!sameJson(content, old)) {
    // What was stored under an older schema may stay as it is; whoever changes it meets the schema.
    content = contentOf(admitted(kind, assemble(kind, metadata, content), problems));
    if (kind.hasStatus) restore(content, current, "status");
  } else if (problems.length > 0) {
    throw invalid(kind, current, problems);
  }
  const changedSpec = !sameJson(without(content, "status"), without(old, "status"));
  metadata.generation = current.metadata.generation + (changedSpec ? 1 : 0); // R4
  return settle(current, { ...assemble(kind, metadata, content), apiVersion: apiVersionOf(kind) });
}

/** Status and nothing else (R2, R3). */
export function decideStatus(
  kind: Kind,
  object: Resource,
  current: Resource | undefined,
): Change | undefined {
  if (!kind.hasStatus) throw new Fault("Bug", `${kind.kind} has no status apart: use update`);
  if (!current) throw missing(kind, object);
  checkPrecondition(kind, current, object.metadata);
  const content = contentOf(current);
  restore(content, copyJson({ status: object.status }), "status");
  if (sameJson(content.status, current.status)) return undefined;
  const next = assemble(kind, current.metadata, content);
  const verdict = kind.admit?.(copyJson(next));
  if (verdict && "object" in verdict) restore(content, copyJson(verdict.object), "status");
  else if (verdict) {
    // Mistakes elsewhere were there before: they are not this caller's.
    const own = verdict.problems.filter(({ field }) => /^\.?status\b/.test(field));
    if (own.length > 0) throw invalid(kind, current, own);
  }
  return settle(current, assemble(kind, current.metadata, content));
}

/** Asks for deletion, or deletes (R6). `kind` only names the thing in messages. */
export function decideDelete(
  kind: Pick<Kind, "kind">,
  place: Place,
  current: Resource | undefined,
  options: DeleteOptions,
  now: string,
): Change | undefined {
  if (!current) throw missing(kind, { metadata: place });
  checkPrecondition(kind, current, options);
  const finalizers = finalizersFor(current.metadata.finalizers ?? [], options.propagation);
  const asked = current.metadata.deletionTimestamp !== undefined;
  const metadata = tidy({
    ...current.metadata,
    finalizers,
    deletionTimestamp: current.metadata.deletionTimestamp ?? now,
    deletionGracePeriodSeconds: current.metadata.deletionGracePeriodSeconds ?? 0,
    generation: current.metadata.generation + (asked ? 0 : 1), // as an API server does when it sets the timestamp
  });
  const closing = isNamespace(place) ? closingNamespace(current) : current;
  const next = { ...closing, metadata };
  if (isHeld(next)) return settle(current, next);
  return { type: "Deleted", object: current };
}

/** The change from one state to the next: none, a new state, or the end when deletion waited only for this (R5, R6). */
export function settle(current: Resource, next: Resource): Change | undefined {
  if (next.metadata.deletionTimestamp !== undefined && !isHeld(next)) {
    return { type: "Deleted", object: next };
  }
  const same = sameJson(
    { ...current, apiVersion: "" },
    { ...next, apiVersion: "", metadata: { ...next.metadata } },
  );
  return same ? undefined : { type: "Modified", object: next };
}

/** The object without these finalizers. Pure. */
export function withoutFinalizer(object: Resource, finalizer: string): Resource {
  const finalizers = object.metadata.finalizers?.filter((each) => each !== finalizer) ?? [];
  return { ...object, metadata: tidy({ ...object.metadata, finalizers }) };
}

/** The object with these owners only. Pure. */
export function withOwners(object: Resource, uids: (uid: string) => boolean): Resource {
  const ownerReferences = object.metadata.ownerReferences?.filter(({ uid }) => uids(uid)) ?? [];
  return { ...object, metadata: tidy({ ...object.metadata, ownerReferences }) };
}

function isHeld(object: Resource): boolean {
  return (object.metadata.finalizers?.length ?? 0) > 0 || (object.kind === "Namespace" && isHeldOpen(object));
}

function finalizersFor(have: readonly string[], propagation: DeleteOptions["propagation"]): string[] {
  if (propagation === undefined) return [...have];
  const others = have.filter((each) => each !== orphanFinalizer && each !== foregroundFinalizer);
  switch (propagation) {
    case "Background":
      return others;
    case "Foreground":
      return [...others, foregroundFinalizer];
    case "Orphan":
      return [...others, orphanFinalizer];
  }
}

/** What callers may write of metadata, over what is the store's own (R7). */
function nextMetadata(current: ObjectMeta, wanted: Partial<ObjectMeta>): ObjectMeta {
  const next: ObjectMeta = { ...current };
  for (const part of ["labels", "annotations", "finalizers", "ownerReferences", "managedFields"] as const) {
    delete next[part];
    if (wanted[part]) Object.assign(next, { [part]: wanted[part] });
  }
  return tidy(next);
}

/** Empty lists and maps are left out, so that they equal absent ones (R5). */
function tidy(metadata: ObjectMeta): ObjectMeta {
  for (const part of ["labels", "annotations", "finalizers", "ownerReferences", "managedFields"] as const) {
    if (metadata[part] && Object.keys(metadata[part]).length === 0) delete metadata[part];
  }
  return metadata;
}

type Content = Record<string, unknown>;

/** All of an object but apiVersion, kind and metadata. */
function contentOf(object: Resource): Content {
  const { apiVersion: _a, kind: _k, metadata: _m, ...content } = object;
  return content;
}

function assemble(kind: Pick<Kind, "group" | "version" | "kind">, metadata: ObjectMeta, content: Content) {
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata, ...content } satisfies Resource;
}

function without(content: Content, part: string): Content {
  const { [part]: _, ...others } = content;
  return others;
}

function restore(content: Content, from: { status?: unknown }, part: "status"): void {
  if (from[part] === undefined) delete content[part];
  else content[part] = from[part];
}

function pickFinalizers(namespace: Resource): { finalizers?: unknown } {
  const { finalizers } = (namespace.spec ?? {}) as { finalizers?: unknown };
  return finalizers === undefined ? {} : { finalizers };
}

function admitted(kind: Kind, object: Resource, problems: readonly Problem[]): Resource {
  const verdict = kind.admit?.(copyJson(object)) ?? { object };
  const all = "problems" in verdict ? [...problems, ...verdict.problems] : problems;
  if (all.length > 0 || "problems" in verdict) throw invalid(kind, object, all);
  return { ...copyJson(verdict.object), metadata: object.metadata }; // metadata is the store's affair
}

function kindProblems(kind: Kind, object: Resource): Problem[] {
  return object.kind && object.kind !== kind.kind
    ? [{ field: "kind", message: `is ${object.kind}, but ${kind.kind} is meant` }]
    : [];
}

function scopeProblems(kind: Kind, namespace: string | undefined): Problem[] {
  if (kind.namespaced && !namespace) return [{ field: "metadata.namespace", message: "is required" }];
  if (!kind.namespaced && namespace) {
    return [{ field: "metadata.namespace", message: `must be absent: ${kind.kind} is cluster-scoped` }];
  }
  return [];
}

function finalizerProblems(current: Resource, next: ObjectMeta): Problem[] {
  if (current.metadata.deletionTimestamp === undefined) return [];
  const added = (next.finalizers ?? []).filter((each) => !current.metadata.finalizers?.includes(each));
  return added.map((each) => ({
    field: "metadata.finalizers",
    message: `${each} cannot be added: the object is being deleted`,
  }));
}

function checkPrecondition(
  kind: Pick<Kind, "kind">,
  current: Resource,
  { uid, resourceVersion }: Precondition,
): void {
  if (uid && uid !== current.metadata.uid) {
    throw new Fault(
      "Conflict",
      `${title(kind, current)} is another one than meant: its uid is ${current.metadata.uid}, not ${uid}`,
    );
  }
  if (resourceVersion && resourceVersion !== current.metadata.resourceVersion) {
    throw new Fault(
      "Conflict",
      `${title(kind, current)} has changed: it is at revision ${current.metadata.resourceVersion}, not ${resourceVersion}; read it again`,
    );
  }
}

/** "Widget default/a": what a thing is called in messages. */
export function title(
  kind: Pick<Kind, "kind">,
  { metadata }: { readonly metadata: { readonly name: string; readonly namespace?: string } },
): string {
  return `${kind.kind} ${keyText(keyOf({ metadata }))}`;
}

function missing(
  kind: Pick<Kind, "kind">,
  object: { readonly metadata: { readonly name: string; readonly namespace?: string } },
): Fault {
  return new Fault("NotFound", `${title(kind, object)} does not exist`);
}

function invalid(kind: Pick<Kind, "kind">, object: Resource, problems: readonly Problem[]): Fault {
  const list = problems.map(({ field, message }) => `${field}: ${message}`).join("; ");
  return new Fault("Invalid", `${title(kind, object)} is invalid: ${list}`, { problems });
}

// pcg apply: each document of a file goes to the side that its apiVersion belongs to.
import { readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import { Fault, type Draft, type OwnedStore, type Problem, type Resource } from "#core";
import { applyObject } from "#core/store/helpers.ts";
import { namespace } from "#proto";
import type { PlaneClient } from "#plane";
import type { World } from "../world.ts";
import { labelOf, openGateway, openPlane } from "./connect.ts";
import { kindOfDocument } from "./kinds.ts";

/** The group of documents that are requests to the plane. */
export const planeApiVersion = "plane.pcg.dev/v1";

/** A document of a file: a request for a cluster, or an object for the gateway. */
export type Document = {
  readonly where: string;
  readonly apiVersion: string;
  readonly kind: string;
} & Record<string, unknown>;

export interface Applied {
  readonly document: Document;
  /** What to tell: "cluster shop-1 created", "inclusterippool nodes configured". */
  readonly text: string;
  /** The new cluster's uid. */
  readonly clusterUid?: string;
}

/** Reads and checks all documents; every mistake in any of them is named. */
export function readDocuments(text: string, file: string): Document[] {
  const problems: Problem[] = [];
  const documents = parseAllDocuments(text).flatMap((parsed, index): Document[] => {
    const where = `${file}, document ${index + 1}`;
    if (parsed.errors.length > 0) {
      problems.push(
        ...parsed.errors.map((error) => ({ field: where, message: error.message.split("\n")[0] ?? "" })),
      );
      return [];
    }
    const value = parsed.toJS() as unknown;
    if (value === null || value === undefined) return [];
    if (typeof value !== "object" || !("apiVersion" in value) || !("kind" in value)) {
      problems.push({ field: where, message: "is no object: apiVersion and kind are missing" });
      return [];
    }
    return [{ ...(value as Record<string, unknown>), where } as Document];
  });
  if (problems.length > 0) throw new Fault("Invalid", `${file} cannot be applied`, { problems });
  return documents;
}

export interface Sides {
  plane(): Promise<PlaneClient>;
  gateway(): Promise<OwnedStore>;
}

/** Applies documents in order; yields what was done with each. */
export async function* applyDocuments(documents: readonly Document[], sides: Sides): AsyncGenerator<Applied> {
  for (const document of documents) {
    yield document.apiVersion === planeApiVersion
      ? await requestCluster(document, await sides.plane())
      : await applyToGateway(document, await sides.gateway());
  }
}

async function requestCluster(document: Document, client: PlaneClient): Promise<Applied> {
  if (document.kind !== "VsphereCluster") {
    throw new Fault("Invalid", `${document.where}: the plane knows VsphereCluster, not ${document.kind}`);
  }
  const { where: _where, apiVersion: _version, kind: _kind, ...entity } = document;
  const { metadata } = entity as { metadata?: { name?: string; annotations?: Record<string, string> } };
  const name = metadata?.name ?? "";
  const there = name ? (await client.clusters(name)).find((c) => c.metadata.name === name) : undefined;
  if (there)
    return {
      document,
      text: `cluster ${name} unchanged (it exists already)`,
      clusterUid: labelOf(there).uid,
    };
  const overlordUid = metadata?.annotations?.["overlordUid"] ? undefined : await onlyGateway(client);
  const clusterUid = await client.createCluster(
    entity as Parameters<PlaneClient["createCluster"]>[0],
    overlordUid,
  );
  return { document, text: `cluster ${name} created`, clusterUid };
}

async function onlyGateway(client: PlaneClient): Promise<string> {
  const overlords = await client.overlords();
  const [only] = overlords;
  if (only && overlords.length === 1) return labelOf(only).uid;
  const names = overlords.map(({ metadata }) => `${metadata.name} (${metadata.uid})`).join(", ");
  throw new Fault(
    "Invalid",
    only
      ? `which gateway shall build the cluster? set the annotation overlordUid; there are: ${names}`
      : "no gateway is paired with the plane yet; pair one: pcg gateway pair CODE",
  );
}

async function applyToGateway(document: Document, store: OwnedStore): Promise<Applied> {
  const kind = kindOfDocument(document, document.where);
  const { where: _where, ...object } = document;
  const metadata = (object as { metadata?: { name?: string; namespace?: string } }).metadata ?? {};
  if (!metadata.name) throw new Fault("Invalid", `${document.where}: metadata.name is missing`);
  const draft = {
    ...object,
    metadata: { ...metadata, ...(kind.namespaced ? { namespace: metadata.namespace ?? "default" } : {}) },
  };
  const key = {
    name: metadata.name,
    ...(kind.namespaced ? { namespace: metadata.namespace ?? "default" } : {}),
  };
  if (kind.namespaced)
    await applyObject(store, namespace, { metadata: { name: key.namespace ?? "default" } });
  const before = await store.get(kind, key);
  const after = await applyObject(store, kind, draft as unknown as Draft<Resource>);
  const change = !before
    ? "created"
    : before.metadata.resourceVersion === after.metadata.resourceVersion
      ? "unchanged"
      : "configured";
  return { document, text: `${kind.singular} ${metadata.name} ${change}` };
}

export async function apply(
  world: World,
  files: readonly string[],
  options: { readonly context: string },
): Promise<void> {
  const documents: Document[] = [];
  for (const file of files) documents.push(...readDocuments(await readText(file), file));
  if (documents.length === 0) throw new Fault("Invalid", `${files.join(", ")}: there is nothing to apply`);
  const opened: { close(): Promise<void> }[] = [];
  const once = <T extends { close(): Promise<void> }>(open: () => Promise<T>) => {
    let made: Promise<T> | undefined;
    return () => (made ??= open().then((side) => (opened.push(side), side)));
  };
  const sides: Sides = {
    plane: once(async () => (await openPlane(world, options.context)).client),
    gateway: once(() => openGateway(world, options.context)),
  };
  try {
    for await (const applied of applyDocuments(documents, sides)) {
      world.output.line(applied.clusterUid ? `${applied.text} (${applied.clusterUid})` : applied.text);
    }
  } finally {
    await Promise.all(opened.map((side) => side.close()));
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new Fault("Invalid", `${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

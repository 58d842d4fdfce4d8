// pcg get, delete: objects of the gateway, and clusters, overlords and machines as the plane knows them.
import { Fault, type Resource } from "#core";
import { listAll } from "#core/store/helpers.ts";
import { columnsOf } from "#core/store/serve/table.ts";
import { parseSelector } from "#core/resource/parse-selector.ts";
import { formats, show, table, type Format } from "../output.ts";
import type { World } from "../world.ts";
import { labelOf, openGateway, openPlane } from "./connect.ts";
import { kindByWord } from "./kinds.ts";

export interface GetOptions {
  readonly context: string;
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly selector?: string;
  readonly output: Format;
}

/** What only the plane has; everything else is a kind on the gateway. */
const planeWords = new Set([
  "clusters",
  "cluster",
  "spectroclusters",
  "overlords",
  "overlord",
  "gateways-at-plane",
]);

export async function get(
  world: World,
  word: string,
  name: string | undefined,
  options: GetOptions,
): Promise<void> {
  if (!formats.includes(options.output)) throw new Fault("Invalid", `-o ${options.output}: no such format`);
  if (planeWords.has(word)) await getFromPlane(world, word, name, options);
  else await getFromGateway(world, word, name, options);
}

async function getFromPlane(
  world: World,
  word: string,
  name: string | undefined,
  options: GetOptions,
): Promise<void> {
  const { client } = await openPlane(world, options.context);
  try {
    if (word.startsWith("overlord")) {
      const items = (await client.overlords()).filter(
        (o) => !name || o.metadata.uid === name || o.metadata.name === name,
      );
      const rows = items.map((o) => [
        labelOf(o).name,
        labelOf(o).uid,
        o.status.state ?? "",
        o.status.health?.state ?? "",
      ]);
      show(world.output, options.output, { items }, () => table(["NAME", "UID", "STATE", "HEALTH"], rows));
    } else {
      const items = (await client.clusters()).filter(
        (c) => !name || c.metadata.uid === name || c.metadata.name === name,
      );
      if (name && items.length === 0) throw new Fault("NotFound", `the plane has no cluster ${name}`);
      const rows = items.map((c) => [labelOf(c).name, labelOf(c).uid, c.status.state ?? ""]);
      show(world.output, options.output, { items }, () => table(["NAME", "UID", "STATE"], rows));
    }
  } finally {
    await client.close();
  }
}

async function getFromGateway(
  world: World,
  word: string,
  name: string | undefined,
  options: GetOptions,
): Promise<void> {
  const kind = kindByWord(word);
  const store = await openGateway(world, options.context);
  try {
    const namespace =
      kind.namespaced && !options.allNamespaces ? (options.namespace ?? "default") : undefined;
    let items: Resource[];
    if (name) {
      const found = await store.get(kind, namespace ? { namespace, name } : { name });
      if (!found)
        throw new Fault(
          "NotFound",
          `there is no ${kind.singular} ${name}${namespace ? ` in namespace ${namespace}` : ""}`,
        );
      items = [found];
    } else {
      const all = await listAll(store, kind, {
        ...(namespace ? { namespace } : {}),
        ...(options.selector ? { labels: parseSelector(options.selector) } : {}),
      });
      items = all.items;
    }
    const value = name ? items[0] : { items };
    show(world.output, options.output, value, () => objectsTable(items, kind, options, world.clock.now()));
  } finally {
    await store.close();
  }
}

function objectsTable(
  items: readonly Resource[],
  kind: ReturnType<typeof kindByWord>,
  options: GetOptions,
  now: number,
): string {
  if (options.output === "name") return items.map((o) => `${kind.singular}/${o.metadata.name}`).join("\n");
  if (items.length === 0) return `no ${kind.plural} found`;
  const columns = columnsOf(kind).filter(
    (column) => options.output === "wide" || (column.priority ?? 0) === 0,
  );
  const spaced = kind.namespaced && options.allNamespaces;
  const head = [...(spaced ? ["NAMESPACE"] : []), ...columns.map((column) => column.name.toUpperCase())];
  const rows = items.map((o) => [
    ...(spaced ? [o.metadata.namespace ?? ""] : []),
    ...columns.map((column) => String(column.cell(o, now) ?? "")),
  ]);
  return table(head, rows);
}

export interface DeleteOptions {
  readonly context: string;
  readonly namespace?: string;
  /** For clusters: see force.ts. */
  readonly force?: boolean;
}

/** Deletes a cluster at the plane, or an object on the gateway. */
export async function remove(
  world: World,
  word: string,
  name: string,
  options: DeleteOptions,
): Promise<void> {
  if (planeWords.has(word)) {
    const { client } = await openPlane(world, options.context);
    try {
      const found = (await client.clusters()).find(
        (c) => c.metadata.uid === name || c.metadata.name === name,
      );
      if (!found) throw new Fault("NotFound", `the plane has no cluster ${name}`);
      await client.deleteCluster(labelOf(found).uid, { force: options.force ?? false });
      world.output.line(
        `cluster ${found.metadata.name} is being deleted${options.force ? " by force" : ""}; follow it with: pcg events ${found.metadata.name}`,
      );
    } finally {
      await client.close();
    }
    return;
  }
  if (options.force)
    throw new Fault(
      "Invalid",
      `--force is for clusters; ${word} ${name} is deleted without it, or not at all`,
    );
  const kind = kindByWord(word);
  const store = await openGateway(world, options.context);
  try {
    const left = await store.delete(
      kind,
      kind.namespaced ? { namespace: options.namespace ?? "default", name } : { name },
    );
    world.output.line(`${kind.singular} ${name} ${left ? "is being deleted" : "deleted"}`);
  } finally {
    await store.close();
  }
}

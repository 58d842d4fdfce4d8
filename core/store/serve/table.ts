// Objects as tables, the way a server prepares them for `kubectl get`. Pure.
// Shape: meta.k8s.io/v1 Table; rules: k8s.io/apiextensions-apiserver pkg/registry/customresource/tableconvertor.
import type { Kind } from "../../resource/kind.ts";
import type { Resource } from "../../resource/meta.ts";
import { age, name, printed, type Column } from "./column.ts";
import { builtInColumns } from "./columns.ts";

/** What goes along with a row: nothing, the metadata (the default), or the whole object. */
export type Include = "None" | "Metadata" | "Object";

/** The columns of a kind: as kubectl's users know them where it is one of Kubernetes' own, else its own, else name and age. */
export function columnsOf(kind: Kind): readonly Column[] {
  const known = columns.get(kind);
  if (known) return known;
  const own = kind.printerColumns.map(printed);
  const made = builtInColumns(kind) ?? (own.length > 0 ? [name, ...own] : [name, age]);
  columns.set(kind, made);
  return made;
}

const columns = new WeakMap<Kind, readonly Column[]>();

/** A table of these objects. `meta` is the list's own metadata; without heads where the reader has them already (a watch). */
export function tableOf(
  kind: Kind,
  objects: readonly Resource[],
  options: {
    readonly meta: unknown;
    readonly include: Include;
    readonly now: number;
    readonly heads: boolean;
  },
): unknown {
  const cols = columnsOf(kind);
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: options.meta,
    columnDefinitions: options.heads ? cols.map(head) : null,
    rows: objects.map((object) => ({
      cells: cols.map((column) => column.cell(object, options.now)),
      object: beside(object, options.include),
    })),
  };
}

function beside(object: Resource, include: Include): unknown {
  if (include === "None") return null;
  return include === "Object" ? object : partial(object);
}

function head({ name: title, type, format = "", description = "", priority = 0 }: Column): unknown {
  return { name: title, type, format, description, priority };
}

/** An object's metadata alone. */
export function partial(object: Resource): unknown {
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata };
}

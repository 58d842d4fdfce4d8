// Answers as bodies, in the form the client asked for. Pure.
import { apiVersionOf, type Kind } from "../../resource/kind.ts";
import type { Resource } from "../../resource/meta.ts";
import type { Form } from "./accept.ts";
import { partial, tableOf, type Include } from "./table.ts";
import type { Answer, ListMeta } from "./verbs.ts";

export interface Rendering {
  readonly form: Form;
  readonly include: Include;
  readonly now: number;
}

/** The body of an answer. */
export function bodyOf(kind: Kind, answer: Answer, rendering: Rendering): unknown {
  switch (answer.kind) {
    case "status":
      return answer.body;
    case "object":
      return objectBody(kind, answer.object, rendering, true);
    case "list":
      return listBody(kind, answer.items, answer.meta, rendering);
  }
}

/** One object; in a table with heads or without. */
export function objectBody(kind: Kind, object: Resource, rendering: Rendering, heads: boolean): unknown {
  const { form, include, now } = rendering;
  if (form.kind === "partial") return partial(object);
  if (form.kind !== "table") return object;
  const meta = { resourceVersion: object.metadata.resourceVersion };
  return tableOf(kind, [object], { meta, include, now, heads });
}

function listBody(kind: Kind, items: readonly Resource[], meta: ListMeta, rendering: Rendering): unknown {
  const { form, include, now } = rendering;
  if (form.kind === "table") return tableOf(kind, items, { meta, include, now, heads: true });
  if (form.kind === "partial") {
    const all = items.map(partial);
    return { kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1", metadata: meta, items: all };
  }
  return { apiVersion: apiVersionOf(kind), kind: `${kind.kind}List`, metadata: meta, items };
}

/** The object of a BOOKMARK event: nothing but a revision. */
export function bookmarkBody(
  kind: Kind,
  revision: string,
  rendering: Rendering,
  initialEnd: boolean,
): unknown {
  const metadata = {
    resourceVersion: revision,
    creationTimestamp: null,
    ...(initialEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
  };
  if (rendering.form.kind === "table") {
    return tableOf(kind, [], { meta: metadata, include: "None", now: 0, heads: false });
  }
  if (rendering.form.kind === "partial") {
    return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata };
  }
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata };
}

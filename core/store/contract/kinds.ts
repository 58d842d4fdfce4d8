// The kinds that the contract suite works with: two of its own, with CRDs for a real API server, and two that every one has.
import type { Problem } from "../../fault.ts";
import { defineKind, type Kind } from "../../resource/kind.ts";
import type { Resource } from "../../resource/meta.ts";

export interface Widget extends Resource {
  spec?: { size?: number; color?: string; note?: string };
  status?: { phase?: string; seen?: number };
}

export interface ConfigMap extends Resource {
  data?: Record<string, string>;
}

const colors = ["red", "green", "blue"];

const schema = {
  type: "object",
  properties: {
    spec: {
      type: "object",
      default: {},
      properties: {
        size: { type: "integer", minimum: 1, maximum: 100, default: 1 },
        color: { type: "string", enum: colors },
        note: { type: "string" },
      },
    },
    status: {
      type: "object",
      properties: { phase: { type: "string" }, seen: { type: "integer" } },
    },
  },
};

/** What the schema says, as an API server carries it out. */
function admit(object: Resource): { object: Resource } | { problems: Problem[] } {
  const spec = { size: 1, ...(object as Widget).spec };
  const problems: Problem[] = [];
  if (!Number.isInteger(spec.size) || spec.size < 1 || spec.size > 100) {
    problems.push({ field: "spec.size", message: "must be a whole number from 1 to 100" });
  }
  if (spec.color !== undefined && !colors.includes(spec.color)) {
    problems.push({ field: "spec.color", message: `must be one of ${colors.join(", ")}` });
  }
  return problems.length > 0 ? { problems } : { object: { ...object, spec } };
}

const own = { group: "test.pcg.dev", version: "v1", schema, admit };

/** Namespaced, with status apart, defaults and rules. */
export const widgets: Kind<Widget> = defineKind<Widget>({ ...own, kind: "Widget", plural: "widgets" });

/** The same objects in another version. */
export const widgetsV2: Kind<Widget> = { ...widgets, version: "v2" };

/** Cluster-scoped. */
export const gadgets: Kind<Widget> = defineKind<Widget>({
  ...own,
  kind: "Gadget",
  plural: "gadgets",
  namespaced: false,
});

export const configMaps: Kind<ConfigMap> = defineKind<ConfigMap>({
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  hasStatus: false,
});

export const namespaces: Kind = defineKind({
  group: "",
  version: "v1",
  kind: "Namespace",
  plural: "namespaces",
  namespaced: false,
});

/** CustomResourceDefinitions (apiextensions.k8s.io/v1) for Widget and Gadget: a real API server needs them before the suite. */
export function contractCrds(): Record<string, unknown>[] {
  return [crd(widgets, ["v1", "v2"]), crd(gadgets, ["v1"])];
}

function crd(kind: Kind, versions: readonly string[]): Record<string, unknown> {
  const { group, plural, singular } = kind;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: kind.namespaced ? "Namespaced" : "Cluster",
      names: { kind: kind.kind, listKind: `${kind.kind}List`, plural, singular },
      versions: versions.map((name) => ({
        name,
        served: true,
        storage: name === "v1",
        schema: { openAPIV3Schema: schema },
        subresources: { status: {} },
      })),
    },
  };
}

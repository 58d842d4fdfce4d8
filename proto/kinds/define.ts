// From a zod schema to a Kind: defaults, validation, TypeScript type and OpenAPI schema all come from the one schema.
//
// The schema describes an object's top-level fields besides apiVersion, kind and metadata. Our own kinds use z.object (unknown fields
// are pruned, as an API server prunes them); kinds of others use z.looseObject (we keep what a newer upstream may have written).
import type { z } from "zod";
import { defineKind, type Kind, type PrinterColumn, type Problem, type Resource } from "#core";
import { structuralSchema } from "./openapi.ts";

/** The objects of a schema: Kubernetes' envelope and the schema's fields. */
export type Typed<S extends z.ZodType> = Resource & z.output<S>;

export interface KindParts<S extends z.ZodObject> {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly schema: S;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  /** True unless told. */
  readonly namespaced?: boolean;
  /** True unless told. */
  readonly hasStatus?: boolean;
  readonly printerColumns?: readonly PrinterColumn[];
  /** Defaults that look at more than one field, as upstream's webhooks fill them in. Runs after the schema; must be idempotent. */
  readonly finish?: (object: Typed<S>) => Typed<S>;
  /** Mistakes that a schema cannot see. Runs after `finish`. */
  readonly check?: (object: Typed<S>) => readonly Problem[];
}

/** A Kind whose `admit` fills defaults and names every mistake by its field path ("spec.addresses[0]"). */
export function kindFrom<S extends z.ZodObject>(parts: KindParts<S>): Kind<Typed<S>> {
  const { schema, finish: _finish, check: _check, ...rest } = parts;
  const kind = defineKind<Typed<S>>({ ...rest, admit: (object) => admit(parts, object) });
  let made: Record<string, unknown> | undefined;
  return Object.defineProperty(kind, "schema", {
    enumerable: true,
    get: () => (made ??= structuralSchema(schema)),
  });
}

function admit<S extends z.ZodObject>(
  parts: KindParts<S>,
  object: Resource,
): { readonly object: Resource } | { readonly problems: readonly Problem[] } {
  const { apiVersion, kind, metadata, ...fields } = object;
  const parsed = parts.schema.safeParse(fields, { error: sayRequired });
  if (!parsed.success) return { problems: parsed.error.issues.map(problemOf) };
  const whole = { apiVersion, kind, metadata, ...(parsed.data as object) } as Typed<S>;
  const finished = parts.finish ? parts.finish(whole) : whole;
  const problems = parts.check?.(finished) ?? [];
  return problems.length > 0 ? { problems } : { object: finished };
}

function sayRequired(issue: { readonly code?: string; readonly input?: unknown }): string | undefined {
  return issue.code === "invalid_type" && issue.input === undefined ? "is required" : undefined;
}

/** A zod issue as a Problem. */
export function problemOf(issue: {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}): Problem {
  return { field: fieldPath(issue.path), message: issue.message };
}

/** ["spec", "addresses", 0] as "spec.addresses[0]". */
export function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text ? `${text}.${String(part)}` : String(part),
    "",
  );
}

// Variants of an object, each with one thing changed, for asking two judges about them. Pure.

export interface Mutant {
  readonly name: string;
  readonly object: Readonly<Record<string, unknown>>;
}

/** The object with each member below `part` left out, or of another type, or at an edge; one change a mutant. */
export function mutantsOf(object: Readonly<Record<string, unknown>>, part: string): Mutant[] {
  return placesIn(object[part], [part]).flatMap(([path, value]) => [
    { name: `without ${path.join(".")}`, object: changed(object, path, undefined) },
    ...strangersTo(value).map((stranger) => ({
      name: `${path.join(".")} = ${JSON.stringify(stranger).slice(0, 60)}`,
      object: changed(object, path, stranger),
    })),
  ]);
}

type Path = readonly (string | number)[];

function placesIn(value: unknown, path: Path): [Path, unknown][] {
  if (typeof value !== "object" || value === null) return [[path, value]];
  const below = Array.isArray(value)
    ? value.flatMap((item, at) => placesIn(item, [...path, at]))
    : Object.entries(value).flatMap(([key, member]) => placesIn(member, [...path, key]));
  return [[path, value], ...below];
}

function strangersTo(value: unknown): unknown[] {
  switch (typeof value) {
    case "string":
      return ["", "no such-thing!", "x".repeat(5000), 7, {}];
    case "number":
      return [-1, 0, 2 ** 40, 1.5, "7"];
    case "boolean":
      return ["true", 1];
    default:
      return ["text", 7, Array.isArray(value) ? {} : []];
  }
}

function changed(object: Readonly<Record<string, unknown>>, path: Path, to: unknown): Mutant["object"] {
  const copy = structuredClone(object) as Record<string | number, unknown>;
  let at = copy;
  for (const step of path.slice(0, -1)) at = at[step] as Record<string | number, unknown>;
  const last = path.at(-1)!;
  if (to !== undefined) at[last] = to;
  else if (Array.isArray(at)) at.splice(Number(last), 1);
  else delete at[last];
  return copy as Mutant["object"];
}

import { Fault, type Kind } from "#core";
import { nearest } from "#core/options/index.ts";
import { allKinds } from "#proto";

/** The kind a person means: by plural, singular, short name, Kind, or plural.group. Throws Invalid with the nearest name. */
export function kindByWord(word: string, kinds: readonly Kind[] = allKinds): Kind {
  const wanted = word.toLowerCase();
  const namesOf = (kind: Kind) => [
    kind.plural,
    kind.singular,
    kind.kind.toLowerCase(),
    ...kind.shortNames,
    `${kind.plural}.${kind.group}`,
  ];
  const found = kinds.find((kind) => namesOf(kind).includes(wanted));
  if (found) return found;
  const hint = nearest(wanted, kinds.flatMap(namesOf));
  throw new Fault("Invalid", `there is no kind "${word}"${hint ? `; did you mean ${hint}?` : ""}`);
}

/** The kind of an object in a file, by apiVersion and kind. */
export function kindOfDocument(document: { apiVersion?: unknown; kind?: unknown }, where: string): Kind {
  const found = allKinds.find(
    (kind) =>
      kind.kind === document.kind &&
      (kind.group ? `${kind.group}/${kind.version}` : kind.version) === document.apiVersion,
  );
  if (found) return found;
  throw new Fault(
    "Invalid",
    `${where}: there is no kind ${String(document.kind)} in ${String(document.apiVersion)} on a gateway`,
  );
}

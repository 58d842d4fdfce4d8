// Text in secret files: as it is, or sealed where the owner has a key file.
import type { Seal } from "#core/store/seal.ts";

/** The text to write: base64 of the sealed text, or the text itself without a seal. */
export function sealed(text: string, place: string, seal: Seal | undefined): string {
  return seal ? Buffer.from(seal.seal(Buffer.from(text), place)).toString("base64") : text;
}

export function unsealed(text: string, place: string, seal: Seal | undefined): string {
  return seal ? Buffer.from(seal.open(Buffer.from(text, "base64"), place)).toString("utf8") : text;
}

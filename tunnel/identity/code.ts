// A pairing code: 16 characters of Crockford's base32 (80 random bits) in groups of four, made to be read out and typed.
// Source of the alphabet and of the forgiving reading: Douglas Crockford, "Base 32".
import { Fault } from "#core";

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const codeLength = 16;

/** Random bytes a code is made of. */
export const pairingCodeBytes = 10;

/** Writes 10 random bytes as a code, "7K3F-Q0ZD-11VA-M8XN". Pure. */
export function formatPairingCode(bytes: Uint8Array): string {
  if (bytes.length !== pairingCodeBytes) throw new Fault("Bug", "a pairing code is made of 10 bytes");
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  let text = "";
  for (let i = 0; i < codeLength; i++) {
    text = (alphabet[Number(bits & 31n)] ?? "") + text;
    bits >>= 5n;
  }
  return (text.match(/.{4}/g) ?? []).join("-");
}

/**
 * Reads a code as people type it: any case, with or without dashes and spaces, O for 0, I or L for 1.
 * Gives the canonical form; throws Invalid, saying what is wrong, without repeating the code.
 */
export function parsePairingCode(typed: string): string {
  const text = typed
    .toUpperCase()
    .replace(/[\s\-–—_.]/g, "")
    .replace(/O/g, "0")
    .replace(/[IL]/g, "1");
  const stranger = [...text].find((c) => !alphabet.includes(c));
  if (stranger !== undefined) {
    throw malformed(`'${stranger}' is not a character of a pairing code`);
  }
  if (text.length !== codeLength) {
    throw malformed(`a pairing code has ${codeLength} characters, this one has ${text.length}`);
  }
  return (text.match(/.{4}/g) ?? []).join("-");
}

function malformed(why: string): Fault {
  return new Fault(
    "Invalid",
    `the pairing code is malformed: ${why}; it looks like XXXX-XXXX-XXXX-XXXX, copy it again from the plane`,
    { problems: [{ field: "pairingCode", message: why }] },
  );
}

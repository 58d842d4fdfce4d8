import { randomBytes } from "node:crypto";

/** A fresh uid as Palette writes them: 24 hex digits. */
export function newUid(): string {
  return randomBytes(12).toString("hex");
}

// The mark with which a limited list goes on: the revision of its first page and the last place seen. Opaque to callers.
import { Fault } from "../fault.ts";
import type { Place } from "./rows.ts";

export interface Next {
  readonly at: number;
  readonly after: Place;
}

export function encodeNext({ at, after }: Next): string {
  return Buffer.from(JSON.stringify([at, after.namespace, after.name])).toString("base64url");
}

/** Both parts, or neither for the first page. Gone when it is no mark of ours. */
export function decodeNext(resource: string, text: string | undefined): Partial<Next> {
  if (!text) return {};
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    const [at, namespace, name] = parts as [unknown, unknown, unknown];
    if (typeof at === "number" && typeof namespace === "string" && typeof name === "string") {
      return { at, after: { resource, namespace, name } };
    }
  } catch {
    // said below
  }
  throw new Fault("Gone", "the mark to continue this list from is not valid: list again");
}

import type { z } from "zod";

/** What was stored as JSON; undefined for nothing, and for what an older version wrote and this one no longer reads. */
export function readBack<T extends z.ZodType>(schema: T, text: string | null): z.output<T> | undefined {
  return text === null ? undefined : schema.safeParse(JSON.parse(text)).data;
}

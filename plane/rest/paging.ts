// Pages of events: newest first; `continue` is where the next page begins, `after` asks only for what is newer.
import { z } from "zod";
import type { Events, Subject } from "../events.ts";
import { eventBody } from "./bodies.ts";
import { eventBodySchema, listMetaSchema } from "./shapes.ts";

export const eventQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(50),
  continue: z
    .string()
    .regex(/^\d{1,15}$/, "is not what an earlier page gave")
    .optional(),
  after: z.coerce
    .number()
    .int()
    .min(0)
    .optional()
    .describe("Only events with a greater sequence. Ours, not Palette's."),
});

export const eventsSchema = z.object({ items: z.array(eventBodySchema), listmeta: listMetaSchema });

export async function eventPage(
  events: Events,
  subject: Subject,
  query: z.output<typeof eventQuery>,
): Promise<z.output<typeof eventsSchema>> {
  const { limit, after } = query;
  const before = query.continue === undefined ? undefined : Number(query.continue);
  const found = await events.list(subject, limit + 1, { before, after });
  const page = found.slice(0, limit);
  const last = found.length > limit ? page.at(-1) : undefined;
  return {
    items: page.map((stored) => eventBody(stored, subject)),
    listmeta: {
      count: await events.count(subject),
      limit,
      ...(last ? { continue: String(last.sequence) } : {}),
    },
  };
}

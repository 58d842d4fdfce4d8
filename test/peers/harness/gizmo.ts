// A kind that has everything a custom resource can have, for trials with kubectl.
import { z } from "zod";
import { conditionSchema, kindFrom } from "#proto";

export const gizmo = kindFrom({
  group: "peers.pcg.dev",
  version: "v1",
  kind: "Gizmo",
  plural: "gizmos",
  shortNames: ["gz"],
  categories: ["peers"],
  printerColumns: [
    { name: "Size", type: "integer", jsonPath: ".spec.size", description: "How large." },
    { name: "Color", type: "string", jsonPath: ".spec.color" },
    { name: "First", type: "string", jsonPath: ".spec.nics[0].name" },
    { name: "Ready", type: "string", jsonPath: ".status.conditions[?(@.type=='Ready')].status" },
    { name: "Nics", type: "string", jsonPath: ".spec.nics", priority: 1 },
    { name: "Active", type: "boolean", jsonPath: ".spec.active", priority: 1 },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
  schema: z
    .object({
      spec: z
        .object({
          size: z.int().min(1).max(100).describe("How large it is."),
          color: z.enum(["red", "green", "blue"]).default("red").describe("What it looks like."),
          active: z.boolean().optional(),
          note: z.string().max(20).optional(),
          nics: z
            .array(z.object({ name: z.string(), mtu: z.int().optional() }).describe("One network card."))
            .max(4)
            .optional()
            .describe("Its network cards."),
          extra: z.record(z.string(), z.string()).optional(),
        })
        .describe("What is wanted."),
      status: z
        .object({ phase: z.string().optional(), conditions: z.array(conditionSchema).optional() })
        .optional()
        .describe("What is."),
    })
    .describe("A gizmo has everything."),
});

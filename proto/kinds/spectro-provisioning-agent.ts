// The kind over the schema of spa.ts.
import { z } from "zod";
import { ageColumn, stringColumn } from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";
import { spaGroup, spaSpecSchema, spaStatusSchema } from "./spa.ts";

const schema = z.object({ spec: spaSpecSchema, status: spaStatusSchema.optional() });
export type Spa = Typed<typeof schema>;

export const spa = kindFrom({
  group: spaGroup,
  version: "v1alpha1",
  kind: "SpectroProvisioningAgent",
  plural: "spectroprovisioningagents",
  shortNames: ["spa"],
  categories: ["pcg"],
  printerColumns: [
    stringColumn("Cluster", ".spec.clusterName"),
    stringColumn("State", ".status.state"),
    stringColumn("Milestone", ".status.milestones[?(@.state=='InProgress')].title"),
    stringColumn("Active", ".status.activeSide.side"),
    stringColumn("Endpoint", ".status.endpoint.host", 1),
    stringColumn("Last Error", ".status.lastError.message", 1),
    ageColumn,
  ],
  schema,
});

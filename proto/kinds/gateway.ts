// Gateway: how the gateway itself is. One object named "gateway", without a spec: what it shall do is in its configuration file.
// `pcg status` and `kubectl get gateway` show it.
import { z } from "zod";
import { ageColumn, conditionSchema, stringColumn } from "./common.ts";
import { kindFrom, type Typed } from "./define.ts";

const schema = z.object({
  spec: z.object({}).optional(),
  status: z
    .object({
      version: z.string(),
      startedAt: z.string(),
      /** sandbox: an embedded store; embedded: a control plane of our own processes; external: a Kubernetes API. */
      controlPlaneMode: z.string(),
      /** The supervised programs, mode embedded. */
      programs: z
        .array(
          z.object({
            name: z.string(),
            version: z.string(),
            state: z.string(),
            pid: z.int().optional(),
            memoryMiB: z.int().optional(),
            restarts: z.int(),
            message: z.string().optional(),
          }),
        )
        .optional(),
      /** Absent before pairing. */
      identity: z
        .object({ uid: z.string(), tenantUid: z.string(), certificateExpires: z.string().optional() })
        .optional(),
      link: z
        .object({
          state: z.string(),
          since: z.string().optional(),
          transport: z.string().optional(),
          message: z.string().optional(),
          backlog: z.int().optional(),
        })
        .optional(),
      vcenter: z
        .object({
          server: z.string(),
          reachable: z.boolean(),
          version: z.string().optional(),
          message: z.string().optional(),
        })
        .optional(),
      controllers: z
        .array(
          z.object({
            name: z.string(),
            synced: z.boolean(),
            rounds: z.int(),
            failing: z
              .array(z.object({ key: z.string(), failures: z.int(), message: z.string() }))
              .optional(),
          }),
        )
        .optional(),
      memoryMiB: z.number().optional(),
      conditions: z.array(conditionSchema).optional(),
    })
    .optional(),
});
export type Gateway = Typed<typeof schema>;

export const gateway = kindFrom({
  group: "gateway.pcg.dev",
  version: "v1alpha1",
  kind: "Gateway",
  plural: "gateways",
  shortNames: ["gw"],
  categories: ["pcg"],
  namespaced: false,
  printerColumns: [
    stringColumn("Version", ".status.version"),
    stringColumn("Mode", ".status.controlPlaneMode"),
    stringColumn("Link", ".status.link.state"),
    stringColumn("vCenter", ".status.vcenter.server"),
    ageColumn,
  ],
  schema,
});

// The CRDs as `pcg ipam manifests` prints them: those of the pools with v1alpha1, which our conversion webhook reads and writes.
import { z } from "zod";
import type { Kind, Resource } from "#core";
import { globalInClusterIPPool, inClusterIPPool } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import { structuralSchema } from "#proto/kinds/openapi.ts";
import { clientConfig, type Reach } from "./registration.ts";

const oldPool = structuralSchema(
  z.object({
    spec: z.object({
      addresses: z.array(z.string()).optional(),
      subnet: z.string().optional(),
      start: z.string().optional(),
      end: z.string().optional(),
      prefix: z.int().max(128).optional(),
      gateway: z.string().optional(),
    }),
    status: z.looseObject({}).optional(),
  }),
);

interface Crd {
  spec: { versions: Record<string, unknown>[] } & Record<string, unknown>;
}

/** A kind's CRD. With a way to reach the webhooks, pools of addresses are served as v1alpha1 as well. Pure. */
export function ipamCrd(kind: Kind, reach: Reach | undefined, ca?: string): Resource {
  const crd = crdOf(kind) as unknown as Resource & Crd;
  const hasOld = [inClusterIPPool, globalInClusterIPPool].some((pool) => pool.kind === kind.kind);
  if (!hasOld || !reach) return crd;
  const old = {
    name: "v1alpha1",
    served: true,
    storage: false,
    deprecated: true,
    schema: { openAPIV3Schema: oldPool },
    subresources: { status: {} },
    additionalPrinterColumns: [
      { name: "Subnet", type: "string", jsonPath: ".spec.subnet" },
      { name: "Start", type: "string", jsonPath: ".spec.start" },
      { name: "End", type: "string", jsonPath: ".spec.end" },
      { name: "Total", type: "integer", jsonPath: ".status.ipAddresses.total" },
      { name: "Free", type: "integer", jsonPath: ".status.ipAddresses.free" },
      { name: "Used", type: "integer", jsonPath: ".status.ipAddresses.used" },
    ],
  };
  return {
    ...crd,
    spec: {
      ...crd.spec,
      versions: [old, ...crd.spec.versions],
      conversion: {
        strategy: "Webhook",
        webhook: { conversionReviewVersions: ["v1"], clientConfig: clientConfig(reach, "/convert", ca) },
      },
    },
  } as Resource;
}

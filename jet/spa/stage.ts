// How a stage of a cluster's life stands, and the words that stages share.
import type { ConditionDraft } from "#core";
import type { MilestoneKey, Standing, Trouble } from "../milestones.ts";
import type { ImageSource, ProviderSource } from "../ports.ts";
import type { SpaSeen } from "./seen.ts";
import type { SpaAction } from "./action.ts";
import { resolvedEndpoint } from "./rendered.ts";

export interface PlanOptions {
  readonly providers: Pick<ProviderSource, "deployments" | "release" | "refuses">;
  /** Of what must be installed in a workload cluster, with images from there. */
  readonly digest: (images: ImageSource) => string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** How a stage stands. */
export type Stage =
  | {
      readonly kind: "done";
      readonly conditions?: readonly ConditionDraft[];
      readonly progress?: Standing["progress"];
    }
  | {
      readonly kind: "open";
      readonly conditions?: readonly ConditionDraft[];
      readonly actions?: readonly SpaAction[];
      readonly trouble?: Trouble;
      /** True where the trouble is only waited out. */
      readonly waiting?: boolean;
      readonly progress?: Standing["progress"];
    };

export function condition(
  type: string,
  status: "True" | "False" | "Unknown",
  reason: string,
  message = "",
): ConditionDraft {
  return { type, status, reason, message };
}

export function spaText({ spa }: SpaSeen): string {
  return `SpectroProvisioningAgent/${spa.metadata.name}`;
}

/** That the cluster's API does not answer, as a trouble. */
export function silence(seen: SpaSeen): Trouble | undefined {
  const { workload } = seen;
  if (workload.kind === "reachable") return undefined;
  const endpoint = resolvedEndpoint(seen);
  const where = endpoint ? `https://${endpoint.host}:${endpoint.port}` : "the cluster's endpoint";
  return {
    code: workload.kind === "unreachable" ? workload.fault.code : "Unavailable",
    message: `the API at ${where} does not answer${workload.kind === "unreachable" ? `: ${workload.fault.message}` : " yet"}`,
    object: `Cluster/${seen.names.cluster}`,
  };
}

/** Whether a milestone was reported as begun. */
export function isAnnounced(seen: SpaSeen, key: MilestoneKey): boolean {
  const state = seen.spa.status?.milestones?.find((m) => m.key === key)?.state;
  return state !== undefined && state !== "Pending";
}

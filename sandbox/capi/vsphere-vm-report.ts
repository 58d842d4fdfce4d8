// What is said of a VSphereVM, in both contracts. One function writes it all.
import { Fault } from "#core";
import { vsphereVM, type VSphereVM } from "#proto";
import {
  no,
  oldNo,
  oldSummary,
  part,
  summary,
  withConditions,
  withOldConditions,
  type Draft,
  type OldDraft,
} from "./conditions.ts";
import { now, type CapiDeps } from "./context.ts";
import { editStatus } from "./edit.ts";

const order = [
  "Ready",
  "GuestSoftPowerOffSucceeded",
  "IPAddressClaimsFulfilled",
  "VCenterAvailable",
  "VirtualMachineProvisioned",
  "Paused",
];

/** What a step adds to status. */
export interface Said {
  readonly drafts: readonly Draft[];
  readonly old: readonly OldDraft[];
  readonly facts?: Partial<NonNullable<VSphereVM["status"]>>;
}

export async function report(deps: CapiDeps, object: VSphereVM, said: Said): Promise<void> {
  const at = now(deps);
  await editStatus(deps.store, vsphereVM, object, (o) => {
    const { generation } = o.metadata;
    const status = (o.status ??= {});
    Object.assign(status, said.facts);
    status.conditions = withConditions(status.conditions, said.drafts, order, generation, at);
    if (said.old.length === 0) return;
    const parts = ["VirtualMachineProvisioned", "VCenterAvailable", "IPAddressClaimsFulfilled"]
      .filter((type) => status.conditions?.some((c) => c.type === type))
      .map((type) => part(status.conditions, type));
    const ready = summary("Ready", parts);
    status.conditions = withConditions(status.conditions, [ready], order, generation, at);
    const conditions = withOldConditions(status.deprecated?.v1beta1?.conditions, said.old, at);
    const old = oldSummary(
      ["VCenterAvailable", "IPAddressClaimed", "VMProvisioned"].map((type) => {
        const found = conditions.find((c) => c.type === type);
        if (!found) return undefined;
        const { lastTransitionTime: _, ...draft } = found;
        return draft;
      }),
    );
    status.deprecated = { v1beta1: { conditions: withOldConditions(conditions, [old], at) } };
  });
}

export function provisioning(
  reason: string,
  oldReason = reason,
  message = "",
  severity: "Info" | "Warning" = "Info",
): Said {
  return {
    drafts: [no("VirtualMachineProvisioned", reason, message)],
    old: [oldNo("VMProvisioned", severity, oldReason, message)],
  };
}

/** V4: whatever vCenter says, we come again. */
export function transient(fault: Fault): Fault {
  return fault.code === "Invalid" ? new Fault("Unavailable", fault.message, { cause: fault }) : fault;
}

/** Does one thing with vCenter; a refusal stands in VirtualMachineProvisioned and is thrown. */
export async function attempt<T>(
  deps: CapiDeps,
  object: VSphereVM,
  oldReason: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const fault = Fault.from(error);
    if (fault.code !== "Cancelled")
      await report(deps, object, provisioning("NotProvisioned", oldReason, fault.message, "Warning"));
    throw transient(fault);
  }
}

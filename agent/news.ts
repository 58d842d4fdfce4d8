// What changed from one status to the next that is worth an event. Pure: the status before lies in the cluster, so that a restart
// tells nothing twice.
import { conditionsOf, machine, type MachineStatus, type SpectroCluster } from "#proto";
import type { Resource } from "#core";
import { milestoneTitles } from "#proto/render/titles.ts";
import type { AgentEvent } from "./events.ts";

type Status = SpectroCluster["status"];

export function newsOf(before: Status, after: Status, objects: readonly Resource[]): AgentEvent[] {
  return [
    ...milestoneNews(before, after),
    ...remediationNews(before, after),
    ...machineNews(before, after, objects),
  ];
}

function milestoneNews(before: Status, after: Status): AgentEvent[] {
  return (after?.conditions ?? []).flatMap(({ type, status, message }) => {
    const title = milestoneTitles[type as keyof typeof milestoneTitles];
    if (title === undefined || status !== "True" || conditionIn(before, type)?.status === status) return [];
    return [{ reason: type, message: `${title}: done (${message})`, milestone: type }];
  });
}

function remediationNews(before: Status, after: Status): AgentEvent[] {
  const type = "RemediationBlocked";
  const [was, is] = [conditionIn(before, type), conditionIn(after, type)];
  if (!is || (was?.status === is.status && was.reason === is.reason)) return [];
  if (is.status === "True") return [{ severity: "Warn", reason: type, message: is.message }];
  return was?.status === "True"
    ? [{ reason: "RemediationPossible", message: "failed machines are replaced by themselves again" }]
    : [];
}

function conditionIn(status: Status, type: string) {
  return status?.conditions?.find((c) => c.type === type);
}

function machineNews(before: Status, after: Status, objects: readonly Resource[]): AgentEvent[] {
  if (!before?.machines) return []; // the first look: what is there is no news
  const old = new Map(before.machines.map((m) => [m.name, m]));
  const now = new Set((after?.machines ?? []).map((m) => m.name));
  return [
    ...(after?.machines ?? []).flatMap((m) => changeOf(old.get(m.name), m, objects)),
    ...before.machines
      .filter((m) => !now.has(m.name))
      .map((m) => about(m, { reason: "MachineRemoved", message: `${titleOf(m)} is gone` })),
  ];
}

function changeOf(
  was: MachineStatus | undefined,
  is: MachineStatus,
  objects: readonly Resource[],
): AgentEvent[] {
  if (!was) return [about(is, { reason: "MachineAdded", message: `${titleOf(is)} was asked for` })];
  if (was.phase !== is.phase) {
    if (is.phase === "Running") {
      const where = [is.ip && `at ${is.ip}`, is.host && `on ${is.host}`].filter(Boolean).join(" ");
      return [about(is, { reason: "MachineRunning", message: `${titleOf(is)} runs ${where}`.trimEnd() })];
    }
    if (is.phase === "Deleting")
      return [about(is, { reason: "MachineDeleting", message: `${titleOf(is)} is being removed` })];
    if (is.phase === "Failed")
      return [
        about(is, {
          severity: "Error",
          reason: "MachineFailed",
          message: `${titleOf(is)}: ${whyOf(is, objects)}`,
        }),
      ];
  }
  const fellIll = is.phase === "Running" && was.phase === "Running" && is.reason && is.reason !== was.reason;
  return fellIll
    ? [
        about(is, {
          severity: "Warn",
          reason: "MachineNotReady",
          message: `${titleOf(is)}: ${whyOf(is, objects)}`,
        }),
      ]
    : [];
}

function titleOf({ name, role, pool }: MachineStatus): string {
  return role === "control-plane"
    ? `control-plane machine ${name}`
    : `machine ${name}${pool ? ` of pool ${pool}` : ""}`;
}

/** What Cluster API says of it; its messages are bullet lists. */
function whyOf({ name, reason }: MachineStatus, objects: readonly Resource[]): string {
  const object = objects.find((o) => o.kind === machine.kind && o.metadata.name === name);
  const said = object && conditionsOf(object).find((c) => c.type === "Ready")?.message;
  return said ? said.replace(/^\* /, "").replace(/\n\s*\* /g, ", ") : (reason ?? "not ready");
}

function about({ name }: MachineStatus, event: AgentEvent): AgentEvent {
  return { ...event, involvedObject: { kind: machine.kind, name } };
}

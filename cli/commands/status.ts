// pcg status: how the gateway is, and what it works on.
import { Fault } from "#core";
import { gateway, spa, type Gateway, type Spa } from "#proto";
import { show, table, type Format, type Output } from "../output.ts";
import type { World } from "../world.ts";
import { openGateway } from "./connect.ts";

export async function status(
  world: World,
  options: { readonly context: string; readonly output: Format },
): Promise<void> {
  const store = await openGateway(world, options.context);
  try {
    const seen = await store.get(gateway, { name: "gateway" });
    if (!seen?.status)
      throw new Fault("Unavailable", "the gateway has not said yet how it is; try again in a moment");
    const clusters = (await store.list(spa)).items;
    show(
      world.output,
      options.output,
      { gateway: seen.status, clusters: clusters.map((c) => c.status) },
      () => statusText(world.output, seen, clusters),
    );
  } finally {
    await store.close();
  }
}

/** The whole page. */
export function statusText(output: Output, { status: seen }: Gateway, clusters: readonly Spa[]): string {
  if (!seen) return "";
  const identity = seen.identity
    ? `${seen.identity.uid}, certificate until ${seen.identity.certificateExpires ?? "?"}`
    : "not paired";
  const link = seen.link
    ? `${seen.link.state}${seen.link.transport ? ` over ${seen.link.transport}` : ""}, ${seen.link.backlog ?? 0} messages wait`
    : "none";
  const facts = table(
    ["", ""],
    [
      ["version", seen.version],
      ["started", seen.startedAt],
      ["identity", identity],
      ["link", link],
      [
        "vCenter",
        `${seen.vcenter?.server ?? ""} ${seen.vcenter?.reachable ? "logged in" : `not reachable: ${seen.vcenter?.message ?? ""}`}`,
      ],
      ["control plane", seen.controlPlaneMode],
      ["memory", `${seen.memoryMiB ?? 0} MiB`],
    ],
  ).replace(/^\s*\n/, "");
  const conditions = (seen.conditions ?? []).map((c) => [
    output.style(c.status === "True" ? "green" : "red", c.type),
    c.status,
    c.reason,
    c.message,
  ]);
  const rows = clusters.map((c) => [
    c.spec.clusterName,
    c.status?.state ?? "Pending",
    currentMilestone(c),
    c.status?.lastError?.message ?? "",
  ]);
  return [
    facts,
    ...(seen.programs ? [programsTable(output, seen.programs)] : []),
    table(["CONDITION", "STATUS", "REASON", "MESSAGE"], conditions),
    rows.length > 0 ? table(["CLUSTER", "STATE", "MILESTONE", "LAST ERROR"], rows) : "no clusters",
  ].join("\n\n");
}

/** The supervised programs, and what they take together. */
export function programsTable(
  output: Output,
  programs: NonNullable<NonNullable<Gateway["status"]>["programs"]>,
): string {
  const rows = programs.map((p) => [
    p.name,
    p.version,
    output.style(p.state === "ready" ? "green" : "red", p.state),
    p.memoryMiB === undefined ? "" : `${p.memoryMiB} MiB`,
    String(p.restarts),
    p.message ?? "",
  ]);
  const total = programs.reduce((sum, p) => sum + (p.memoryMiB ?? 0), 0);
  return table(
    ["PROGRAM", "VERSION", "STATE", "MEMORY", "RESTARTS", "MESSAGE"],
    [...rows, ["in all", "", "", `${total} MiB`, "", ""]],
  );
}

function currentMilestone(cluster: Spa): string {
  const open = cluster.status?.milestones?.find((m) => m.state === "InProgress" || m.state === "Blocked");
  return open ? `${open.title}${open.attempt > 1 ? ` (attempt ${open.attempt})` : ""}` : "";
}

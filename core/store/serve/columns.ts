// Columns of kinds whose tables kubectl's users know by heart (k8s.io/kubernetes pkg/printers/internalversion).
import type { Kind } from "../../resource/kind.ts";
import type { Resource } from "../../resource/meta.ts";
import { followJsonPath, parseJsonPath } from "../../resource/json-path.ts";
import { age, name, since, type Column } from "./column.ts";

/** The columns of a kind that Kubernetes itself has, or undefined for all others. */
export function builtInColumns(kind: Pick<Kind, "group" | "kind">): readonly Column[] | undefined {
  if (kind.group !== "" && !(kind.group === "events.k8s.io" && kind.kind === "Event")) return undefined;
  switch (kind.kind) {
    case "Secret":
      return [name, text("Type", ".type"), count("Data", ".data"), age];
    case "ConfigMap":
      return [name, count("Data", ".data", ".binaryData"), age];
    case "Namespace":
      return [name, { ...text("Status", ".status.phase"), cell: namespaceStatus }, age];
    case "Node":
      return [
        name,
        { name: "Status", type: "string", cell: nodeStatus },
        { name: "Roles", type: "string", cell: nodeRoles },
        age,
        text("Version", ".status.nodeInfo.kubeletVersion"),
      ];
    case "Pod":
      return [
        name,
        { name: "Ready", type: "string", cell: podReady },
        text("Status", ".status.phase"),
        { name: "Restarts", type: "string", cell: podRestarts },
        age,
        { ...text("Node", ".spec.nodeName", "<none>"), priority: 1 },
      ];
    case "Event":
      return [
        { name: "Last Seen", type: "string", cell: lastSeen },
        text("Type", ".type"),
        text("Reason", ".reason"),
        { name: "Object", type: "string", cell: eventObject },
        text("Message", ".message"),
        { ...name, priority: 1 },
      ];
    default:
      return undefined;
  }
}

function text(title: string, path: string, absent = ""): Column {
  const at = parseJsonPath(path);
  return { name: title, type: "string", cell: (object) => followJsonPath(at, object)[0] ?? absent };
}

function count(title: string, ...paths: readonly string[]): Column {
  const all = paths.map((path) => parseJsonPath(`${path}.*`));
  return {
    name: title,
    type: "integer",
    cell: (object) => all.reduce((sum, path) => sum + followJsonPath(path, object).length, 0),
  };
}

interface Loose extends Resource {
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly ready?: boolean; readonly restartCount?: number }[];
  };
  readonly spec?: { readonly unschedulable?: boolean; readonly containers?: readonly unknown[] };
}

function namespaceStatus(object: Resource): string {
  return (object as Loose).status?.phase ?? (object.metadata.deletionTimestamp ? "Terminating" : "Active");
}

function nodeStatus(object: Resource): string {
  const { status, spec } = object as Loose;
  const ready = status?.conditions?.find(({ type }) => type === "Ready")?.status;
  const word = ready === "True" ? "Ready" : ready === "False" ? "NotReady" : "Unknown";
  return spec?.unschedulable ? `${word},SchedulingDisabled` : word;
}

const rolePrefix = "node-role.kubernetes.io/";

function nodeRoles({ metadata }: Resource): string {
  const roles = Object.keys(metadata.labels ?? {}).filter((key) => key.startsWith(rolePrefix));
  return (
    roles
      .map((key) => key.slice(rolePrefix.length))
      .sort()
      .join(",") || "<none>"
  );
}

function podReady(object: Resource): string {
  const { status, spec } = object as Loose;
  const ready = status?.containerStatuses?.filter((each) => each.ready).length ?? 0;
  return `${ready}/${spec?.containers?.length ?? 0}`;
}

function podRestarts(object: Resource): string {
  const all = (object as Loose).status?.containerStatuses ?? [];
  return String(all.reduce((sum, each) => sum + (each.restartCount ?? 0), 0));
}

interface EventObject extends Resource {
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  readonly deprecatedLastTimestamp?: string | null;
  readonly series?: { readonly lastObservedTime?: string };
  readonly involvedObject?: { readonly kind?: string; readonly name?: string };
  readonly regarding?: { readonly kind?: string; readonly name?: string };
}

function lastSeen(object: Resource, now: number): string {
  const event = object as EventObject;
  const at =
    event.series?.lastObservedTime ??
    event.lastTimestamp ??
    event.deprecatedLastTimestamp ??
    event.eventTime ??
    undefined;
  return at === undefined ? "<unknown>" : since(at, now);
}

function eventObject(object: Resource): string {
  const { involvedObject, regarding } = object as EventObject;
  const about = involvedObject ?? regarding;
  return `${about?.kind?.toLowerCase() ?? ""}/${about?.name ?? ""}`;
}

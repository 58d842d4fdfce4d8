// The deepest cause: of all that is not as it should be, what lies lowest, since everything above only repeats it.
// Cluster → control plane, deployments → machine sets → Machine → bootstrap, VSphereMachine → VSphereVM → address claim. Pure.
import type { Condition, Kind, Resource } from "#core";
import {
  cluster,
  conditionsOf,
  ipAddressClaim,
  kubeadmConfig,
  kubeadmControlPlane,
  machine,
  machineDeployment,
  machineSet,
  terminalFailure,
  vsphereCluster,
  vsphereMachine,
  vsphereVM,
} from "#proto";
import type { Trouble } from "./milestones.ts";

export interface Cause extends Trouble {
  readonly object: string;
  /** False for things on their way ("waiting for ..."), true for things that went wrong. */
  readonly failed: boolean;
  readonly depth: number;
}

const depths: readonly (readonly Kind[])[] = [
  [cluster],
  [kubeadmControlPlane, machineDeployment, vsphereCluster],
  [machineSet],
  [machine],
  [kubeadmConfig, vsphereMachine],
  [vsphereVM],
  [ipAddressClaim],
];

/** Conditions that are good when False, or that only sum up others. */
const notCauses = new Set([
  "Paused",
  "Deleting",
  "RollingOut",
  "ScalingUp",
  "ScalingDown",
  "Remediating",
  "Updating",
  "UpToDate",
]);
const summaries = new Set([
  "Ready",
  "Available",
  "MachinesReady",
  "ControlPlaneMachinesReady",
  "WorkerMachinesReady",
]);
/** False while the first machine is still on its way: never the cause of anything. */
const consequences = new Set(["RemoteConnectionProbe"]);
const failing =
  /fail|error|invalid|refused|denied|unauthori|forbidden|notfound|missing|exhausted|unreachable|unavailable|timed?out|conflict/i;

/** What keeps a cluster from going on: the deepest cause that failed, else the deepest that is waited for; undefined when all is well. */
export function deepestCause(objects: readonly Resource[]): Cause | undefined {
  const causes = depths.flatMap((kinds, depth) =>
    objects
      .filter((object) => kinds.some((kind) => isOf(kind, object)))
      .flatMap((object) => causesOf(object, depth)),
  );
  const worst = causes.some((c) => c.failed) ? causes.filter((c) => c.failed) : causes;
  return worst.reduce<Cause | undefined>((best, c) => (best && best.depth >= c.depth ? best : c), undefined);
}

function isOf(kind: Kind, object: Resource): boolean {
  return object.kind === kind.kind && object.apiVersion.startsWith(kind.group);
}

/** An object's causes, the earliest first; summaries count only where nothing else is said. */
function causesOf(object: Resource, depth: number): Cause[] {
  const name = `${object.kind}/${object.metadata.name}`;
  const terminal = terminalFailure(object);
  if (terminal) return [{ code: "Failed", message: terminal, object: name, failed: true, depth }];
  if (object.kind === ipAddressClaim.kind) return claimCauses(object, name, depth);
  const bad = conditionsOf(object)
    .filter((c) => c.status === "False" && !notCauses.has(c.type))
    .sort((a, b) => a.lastTransitionTime.localeCompare(b.lastTransitionTime));
  const telling = bad.some((c) => !summaries.has(c.type)) ? bad.filter((c) => !summaries.has(c.type)) : bad;
  return telling.map((c) => ({
    code: c.reason,
    message: sentence(c),
    object: name,
    failed: !consequences.has(c.type) && (severityOf(object, c.type) ?? failing.test(c.reason)),
    depth,
  }));
}

function claimCauses(claim: Resource, name: string, depth: number): Cause[] {
  const status = claim.status as { addressRef?: unknown } | undefined;
  if (status?.addressRef) return [];
  const bad = conditionsOf(claim).find((c) => c.status === "False");
  return [
    {
      code: bad?.reason ?? "WaitingForAddress",
      message: bad ? sentence(bad) : "no address yet",
      object: name,
      failed: bad !== undefined && failing.test(bad.reason),
      depth,
    },
  ];
}

function sentence({ type, reason, message }: Condition): string {
  return message ? `${type}: ${message}` : `${type}: ${reason}`;
}

/** What contract v1beta1 said of the same condition: Error and Warning are failures, Info is not; undefined where it says nothing. */
function severityOf(object: Resource, type: string): boolean | undefined {
  const status = object.status as
    { deprecated?: { v1beta1?: { conditions?: unknown } }; conditions?: unknown } | undefined;
  const lists = [status?.deprecated?.v1beta1?.conditions, status?.conditions];
  for (const list of lists) {
    if (!Array.isArray(list)) continue;
    const found = (list as { type?: string; severity?: string }[]).find((c) => c.type === type && c.severity);
    if (found?.severity) return found.severity !== "Info";
  }
  return undefined;
}

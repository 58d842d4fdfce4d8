// The deepest cause: of all that is not as it should be, what lies lowest, since everything above only repeats it.
// Cluster → control plane, deployments, VSphereCluster → machine sets, zones → Machine → bootstrap, VSphereMachine → VSphereVM → address
// claim; at the greatest depth, what began first. Pure.
//
//   Q1. What failed goes before what is only waited for, however deep the waiting is.
//   Q2. Contract v1beta1 says whether a condition is a failure (severity) and often better which (CAPV writes NotProvisioned where it
//       wrote CloningFailed), so it is asked first, under the name it had there. Where it is silent the reason's look decides.
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
  vsphereDeploymentZone,
  vsphereMachine,
  vsphereVM,
} from "#proto";
import type { Trouble } from "./milestones.ts";

export interface Cause extends Trouble {
  readonly object: string;
  /** False for things on their way ("waiting for ..."), true for things that went wrong. */
  readonly failed: boolean;
  readonly depth: number;
  /** RFC 3339. */
  readonly since: string;
}

const depths: readonly (readonly Kind[])[] = [
  [cluster],
  [kubeadmControlPlane, machineDeployment, vsphereCluster],
  [machineSet, vsphereDeploymentZone],
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
/** What contract v1beta1 called a condition that has another name now. */
const formerNames: Readonly<Record<string, string>> = {
  VirtualMachineProvisioned: "VMProvisioned",
  IPAddressClaimsFulfilled: "IPAddressClaimed",
  BootstrapConfigReady: "BootstrapReady",
  FailureDomainsReady: "FailureDomainsAvailable",
  ClusterModulesReady: "ClusterModulesAvailable",
  PlacementConstraintReady: "PlacementConstraintMet",
  FailureDomainValidated: "VSphereFailureDomainValidated",
};
/** Reasons that only say that it is not so. */
const vague = /^(Not(Provisioned|Ready|Available|Fulfilled)|InternalError|Failed)$/;
const failing =
  /fail|error|invalid|refused|denied|unauthori|forbidden|notfound|missing|exhausted|unreachable|unavailable|misconfigured|timed?out|conflict/i;

/** What keeps a cluster from going on: the deepest cause that failed, else the deepest that is waited for; undefined when all is well. */
export function deepestCause(objects: readonly Resource[]): Cause | undefined {
  const causes = depths.flatMap((kinds, depth) =>
    objects
      .filter((object) => kinds.some((kind) => isOf(kind, object)))
      .flatMap((object) => causesOf(object, depth)),
  );
  const worst = causes.some((c) => c.failed) ? causes.filter((c) => c.failed) : causes; // Q1
  return worst.reduce<Cause | undefined>((best, c) => (best && !goesBefore(c, best) ? best : c), undefined);
}

function goesBefore(one: Cause, other: Cause): boolean {
  return one.depth === other.depth ? one.since < other.since : one.depth > other.depth;
}

function isOf(kind: Kind, object: Resource): boolean {
  return object.kind === kind.kind && object.apiVersion.startsWith(kind.group);
}

/** An object's causes; summaries count only where nothing else is said. */
function causesOf(object: Resource, depth: number): Cause[] {
  const name = `${object.kind}/${object.metadata.name}`;
  const terminal = terminalFailure(object);
  if (terminal) {
    const since = object.metadata.creationTimestamp;
    return [{ code: "Failed", message: terminal, object: name, failed: true, depth, since }];
  }
  if (object.kind === ipAddressClaim.kind) return claimCauses(object, name, depth);
  const bad = conditionsOf(object).filter((c) => c.status === "False" && !notCauses.has(c.type));
  const telling = bad.some((c) => !summaries.has(c.type)) ? bad.filter((c) => !summaries.has(c.type)) : bad;
  return telling.map((c) => {
    const former = formerOf(object, c.type);
    const { reason = "", severity } = former ?? {};
    const judged = severity !== undefined && !summaries.has(c.type); // of a sum, "not all yet" is a warning already
    const code = vague.test(c.reason) && reason && reason !== c.reason ? reason : c.reason;
    return {
      code,
      message: sentence({ ...c, message: c.message || (former?.message ?? "") }),
      object: name,
      failed: !consequences.has(c.type) && (judged ? severity !== "Info" : failing.test(code)), // Q2
      depth,
      since: c.lastTransitionTime,
    };
  });
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
      since: bad?.lastTransitionTime ?? claim.metadata.creationTimestamp,
    },
  ];
}

function sentence({ type, reason, message }: Condition): string {
  return message ? `${type}: ${message}` : `${type}: ${reason}`;
}

interface Former {
  readonly type?: string;
  readonly severity?: string;
  readonly reason?: string;
  readonly message?: string;
}

/** What contract v1beta1 said of the same condition: in an object of v1beta2 under `deprecated`, in one of v1beta1 where it always was. */
function formerOf(object: Resource, type: string): Former | undefined {
  const status = object.status as
    { deprecated?: { v1beta1?: { conditions?: unknown } }; conditions?: unknown } | undefined;
  const names = [type, formerNames[type]];
  const lists = [status?.deprecated?.v1beta1?.conditions, status?.conditions];
  return lists
    .flatMap((list) => (Array.isArray(list) ? (list as Former[]) : []))
    .find((c) => c.severity && names.includes(c.type));
}

// What stands in the way of a deletion, named with its object and with what to do about it. Pure.
import { formatTime, isDeleting, type Fault, type Resource } from "#core";
import { deepestCause } from "../../causes.ts";
import type { Trouble } from "../../milestones.ts";
import { isAvailable } from "../../providers.ts";
import { identityOf } from "../rendered.ts";
import type { SpaSeen } from "../seen.ts";
import { elapsed, type DeletionView } from "./part.ts";

/** An object that has been going for so long is held by something. */
const stuckMs = 5 * 60_000;

const aboutLogin = /log ?in|password|credential|user ?name|unauthori/i;

/** How to insist, in the words of the command line. */
function insist({ names }: SpaSeen): string {
  return `pcg delete cluster ${names.cluster} --force`;
}

function accountText({ spa }: SpaSeen): string {
  return `Secret ${spa.spec.cloud.credentialRef.name}`;
}

export function credentialTrouble(seen: SpaSeen): Trouble | undefined {
  const { credential } = seen;
  if (identityOf(seen) || credential.kind === "found") return undefined;
  return {
    code: "SecretMissing",
    message: credential.message,
    object: `Secret/${seen.spa.spec.cloud.credentialRef.name}`,
    blocked: true,
  };
}

/** That vCenter could not be asked. */
export function cloudTrouble(seen: SpaSeen, fault: Fault): Trouble {
  const missing = credentialTrouble(seen);
  if (missing) return missing;
  const { code, message } = fault;
  const refused = code === "Unauthorized" || code === "Forbidden";
  const remedy = refused
    ? `correct ${accountText(seen)}; the deletion then goes on`
    : code === "NotFound"
      ? `let the account of ${accountText(seen)} see it; the deletion then goes on`
      : "the deletion goes on when vCenter answers";
  return {
    code,
    message: `${message}; ${remedy}`,
    object: `VCenter/${seen.spa.spec.cloud.server}`,
    ...(refused ? { blocked: true } : {}),
  };
}

/** That the cluster manages itself and does not answer. */
export function silenceTrouble(seen: SpaSeen, { memory, deadAfterMs, now }: DeletionView): Trouble {
  const why =
    seen.workload.kind === "unreachable" ? seen.workload.fault.message : "its kubeconfig is not here";
  const left = seen.strays.kind === "counted" ? `; ${seen.strays.vms.length} of its VMs still exist` : "";
  const until = formatTime(now + Math.max(deadAfterMs - elapsed(memory.apiSilentSince, now), 0));
  return {
    code: "WorkloadUnreachable",
    message: `the cluster manages itself, and its API does not answer (${why})${left}. Bring its control plane back; otherwise its VMs are removed by the ledger from ${until} on, or at once with: ${insist(seen)}`,
    object: `Cluster/${seen.names.cluster}`,
  };
}

/** Controllers that should run in the workload cluster. */
export interface ProvidersSeen {
  /** "capi-system/cluster-api-controller". */
  readonly missing: readonly string[];
  readonly unavailable: readonly string[];
}

/** The agent is not among them: it is not needed to leave. */
export function providersSeen({ workload }: SpaSeen, { providers }: DeletionView): ProvidersSeen {
  if (workload.kind !== "reachable") return { missing: [], unavailable: [] };
  const { deployments } = workload;
  const keys = providers.deployments.map((key) => `${key.namespace}/${key.name}`);
  return {
    missing: keys.filter((key) => !deployments.has(key)),
    unavailable: keys.filter((key) => deployments.has(key) && !isAvailable(deployments.get(key))),
  };
}

export function providerTrouble(seen: SpaSeen, name: string): Trouble {
  return {
    code: "ProviderNotAvailable",
    message: `the controllers in the cluster must hold its objects still before they are taken back, and this one does not run; see its pods in the cluster, or insist with: ${insist(seen)}`,
    object: `Deployment/${name}`,
  };
}

/** What hinders Cluster API in removing these objects: a cause that an object tells, or one that has been held for long. */
export function removalTrouble(seen: SpaSeen, view: DeletionView): Trouble | undefined {
  const { objects } = seen.gateway;
  const credential = credentialTrouble(seen);
  if (credential) return credential;
  const cause = deepestCause(objects.filter(isDeleting)) ?? deepestCause(objects);
  if (cause?.failed) {
    const remedy = aboutLogin.test(cause.message) ? `; correct ${accountText(seen)}` : "";
    return { code: cause.code, message: `${cause.message}${remedy}`, object: cause.object };
  }
  return heldTrouble(seen, objects, view);
}

/** That one of these has been going for too long. */
export function heldTrouble(
  seen: SpaSeen,
  objects: readonly Resource[],
  { now }: DeletionView,
): Trouble | undefined {
  const held = objects.filter((o) => isHeld(o, now)).at(-1);
  return (
    held && {
      code: "FinalizerStuck",
      message: `has been going since ${held.metadata.deletionTimestamp} and is held by the finalizer ${held.metadata.finalizers?.join(", ")}; see that the controller behind it runs, or insist with: ${insist(seen)}`,
      object: `${held.kind}/${held.metadata.name}`,
    }
  );
}

function isHeld({ metadata }: Resource, now: number): boolean {
  return Boolean(metadata.finalizers?.length) && elapsed(metadata.deletionTimestamp, now) > stuckMs;
}

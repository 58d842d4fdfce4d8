// Readers of Cluster API objects of either contract. v1beta2 objects say it in status.initialization and metav1 conditions, v1beta1
// objects in status.ready and conditions with severities; nobody outside this file asks which.
// Source: Cluster API's contract pages, and the migration notes 1.10 to 1.11.
import type { Condition, Resource } from "#core";

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function status(object: Resource): Fields {
  return fields(object.status);
}

function initialization(object: Resource): Fields {
  return fields(status(object).initialization);
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

/** A VSphereCluster or VSphereMachine (v1beta2 initialization.provisioned, v1beta1 ready), or a Cluster's or Machine's view of it. */
export function isInfrastructureReady(object: Resource): boolean {
  const init = initialization(object);
  return (
    init.provisioned === true ||
    init.infrastructureProvisioned === true ||
    status(object).ready === true ||
    status(object).infrastructureReady === true
  );
}

/** A KubeadmControlPlane or a Cluster whose control plane has answered at least once. */
export function isControlPlaneInitialized(object: Resource): boolean {
  return (
    initialization(object).controlPlaneInitialized === true ||
    status(object).initialized === true ||
    (object.kind === "Cluster" &&
      v1beta1Conditions(object).some((c) => c.type === "ControlPlaneInitialized" && c.status === "True"))
  );
}

/** A bootstrap config whose data Secret exists. */
export function isBootstrapReady(object: Resource): boolean {
  const init = initialization(object);
  return (
    init.dataSecretCreated === true ||
    init.bootstrapDataSecretCreated === true ||
    (object.kind !== "Machine" && status(object).ready === true) ||
    status(object).bootstrapReady === true
  );
}

function list(value: unknown): Condition[] {
  return Array.isArray(value) ? value.map(asCondition).filter((c) => c !== undefined) : [];
}

function asCondition(value: unknown): Condition | undefined {
  const { type, status, reason, message, lastTransitionTime, observedGeneration } = fields(value);
  if (typeof type !== "string" || (status !== "True" && status !== "False" && status !== "Unknown"))
    return undefined;
  return {
    type,
    status,
    reason: typeof reason === "string" && reason !== "" ? reason : status === "True" ? type : "Unknown",
    message: typeof message === "string" ? message : "",
    lastTransitionTime: typeof lastTransitionTime === "string" ? lastTransitionTime : "",
    ...(typeof observedGeneration === "number" ? { observedGeneration } : {}),
  };
}

/** True for conditions written as contract v1beta1 has them: none has a reason while True, some have a severity. */
function isOldStyle(value: unknown): boolean {
  return Array.isArray(value) && value.some((c) => "severity" in fields(c) || !("reason" in fields(c)));
}

/** Conditions as metav1 has them: status.conditions of v1beta2, status.v1beta2.conditions of v1beta1, else the old ones translated. */
export function conditionsOf(object: Resource): Condition[] {
  const { conditions, v1beta2 } = status(object);
  const newer = fields(v1beta2).conditions;
  return list(isOldStyle(conditions) && newer !== undefined ? newer : conditions);
}

/** Conditions as contract v1beta1 had them, wherever the object keeps them. */
export function v1beta1Conditions(object: Resource): Condition[] {
  const { conditions, deprecated } = status(object);
  const old = fields(fields(deprecated).v1beta1).conditions;
  return list(old ?? (isOldStyle(conditions) ? conditions : []));
}

export interface ReplicaCounters {
  readonly desired: number;
  readonly replicas: number;
  readonly ready: number;
  readonly available: number;
  readonly upToDate: number;
}

/** The counters of a control plane, MachineDeployment or MachineSet. What is absent counts as 0 (desired: 1). */
export function replicaCounters(object: Resource): ReplicaCounters {
  const said = status(object);
  const replicas = number(said.replicas) ?? 0;
  const ready = number(said.readyReplicas) ?? 0;
  const unavailable = number(said.unavailableReplicas);
  return {
    desired: number(fields(object.spec).replicas) ?? 1,
    replicas,
    ready,
    available: number(said.availableReplicas) ?? (unavailable === undefined ? ready : replicas - unavailable),
    upToDate: number(said.upToDateReplicas) ?? number(said.updatedReplicas) ?? 0,
  };
}

/** The name of a Machine's Node, once it is known. */
export function nodeNameOf(object: Resource): string | undefined {
  const { name } = fields(status(object).nodeRef);
  return typeof name === "string" ? name : undefined;
}

/** A terminal failure that a v1beta1 provider reported; v1beta2 has none. */
export function terminalFailure(object: Resource): string | undefined {
  const { failureReason, failureMessage } = status(object);
  const text = [failureReason, failureMessage]
    .filter((part) => typeof part === "string" && part !== "")
    .join(": ");
  return text === "" ? undefined : text;
}

/** The Paused condition True, for the generation that is stored now. A pivot waits for it. */
export function isPausedNow(object: Resource): boolean {
  const paused = conditionsOf(object).find((c) => c.type === "Paused");
  return (
    paused?.status === "True" &&
    (paused.observedGeneration === undefined || paused.observedGeneration === object.metadata.generation)
  );
}

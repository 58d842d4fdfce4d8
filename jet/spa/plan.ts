// What to do about a cluster, given everything we saw. Pure.
//
// A cluster's life is a row of stages. Each looks at the world and says "done", or what is left to do and what is in the way; the
// first that is not done is where the cluster stands, and all after it are pending. Nothing is remembered from an earlier round but
// the pivot's journal.
//
//   L1. The credential is written to the gateway's side only while that side owns the cluster; a pivot alone moves it.
//   L2. The four kinds are written before the Cluster, which comes last: Cluster API then finds all it refers to at its first look,
//       and not at its next pass 30 s later.
//   L3. Once a cluster has objects, its wish is not judged again: what exists is Cluster API's to drive.
import { Secret, type ConditionDraft, type Draft, type Kind, type Resource } from "#core";
import {
  cluster,
  conditionsOf,
  encode64,
  inClusterIPPool,
  ipAddressClaim,
  isControlPlaneInitialized,
  isInfrastructureReady,
  kubeadmControlPlane,
  secret,
  vsphereCluster,
  vsphereMachineTemplate,
  type ClusterState,
  type DesiredState,
  type MachineStatus,
} from "#proto";
import { controlPlanePlacement, poolText } from "#proto/render/addresses.ts";
import { machineTemplate } from "#proto/render/machine-template.ts";
import { machineStatuses } from "#proto/render/machines.ts";
import { includes } from "#proto/render/shape.ts";
import { deepestCause } from "../causes.ts";
import { milestoneKeys, type MilestoneKey, type Standing, type Trouble } from "../milestones.ts";
import { isSettled, stepText } from "../pivot/journal.ts";
import { deploymentKeys } from "../providers.ts";
import type { InstallImages } from "../ports.ts";
import {
  childPool,
  clusterObject,
  identitySecret,
  vsphereClusterObject,
  type LeasedAddress,
  type Resolved,
} from "../render/cluster.ts";
import { controlPlane } from "../render/control-plane.ts";
import { leaseClaim } from "../render/lease.ts";
import { objectsOf, renderedTemplate, type NeedSeen, type SpaSeen } from "./observe.ts";
import { problemsText, roomProblems, specProblems } from "./problems.ts";

export type SpaAction =
  | { readonly do: "add finalizer" }
  | { readonly do: "remove finalizer" }
  /** Creates it where it is missing; with `hold`, keeps its fields as given. */
  | {
      readonly do: "apply";
      readonly on: "gateway" | "workload";
      readonly kind: Kind;
      readonly object: Draft<Resource>;
      readonly hold?: boolean;
    }
  | { readonly do: "delete"; readonly kind: Kind; readonly namespace?: string; readonly name: string }
  | { readonly do: "keep kubeconfig"; readonly text: Secret }
  | { readonly do: "install" }
  | { readonly do: "deliver"; readonly desired: DesiredState; readonly counter: number }
  | { readonly do: "pivot"; readonly direction: "ToWorkload" | "ToGateway" }
  | { readonly do: "roll back" }
  /** Wakes the Cluster on the gateway, with the credential in place. */
  | { readonly do: "wake" }
  /** Forgets Cluster API objects without touching their machines. */
  | { readonly do: "forget objects" }
  | { readonly do: "destroy strays" }
  | { readonly do: "say deleted" };

export interface SpaPlan {
  readonly actions: readonly SpaAction[];
  readonly conditions: readonly ConditionDraft[];
  /** "kept": the milestones stay as they were. */
  readonly standings: Readonly<Partial<Record<MilestoneKey, Standing>>> | "kept";
  readonly state: ClusterState;
  /** What is in the way, for status.lastError; also on its milestone. */
  readonly trouble?: Trouble | undefined;
  readonly machines?: readonly MachineStatus[] | undefined;
  readonly endpoint?: Resolved["endpoint"] | undefined;
  readonly template?: string | undefined;
  /** When to look again if nothing wakes us. "busy": nothing here will; "watched": the gateway's watches do; "steady": all is well. */
  readonly pace: "busy" | "watched" | "steady";
}

export interface PlanOptions {
  readonly images: InstallImages;
  /** How many CRDs a workload cluster must have. */
  readonly crds: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** How a stage stands. */
type Stage =
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

interface Part {
  readonly milestone: MilestoneKey;
  readonly look: (seen: SpaSeen, options: PlanOptions) => Stage;
}

const parts: readonly Part[] = [
  { milestone: "ImageResolutionDone", look: validate },
  { milestone: "CloudInfrastructureReady", look: reserve },
  { milestone: "ImageResolutionDone", look: image },
  { milestone: "CloudInfrastructureReady", look: infrastructure },
  { milestone: "BootstrappingDone", look: firstNode },
  { milestone: "KubeConfigReady", look: kubeconfig },
  { milestone: "ImagePullSecretPropagationDone", look: install },
  { milestone: "PivotCompleted", look: pivot },
  { milestone: "PivotCompleted", look: deliver },
  { milestone: "ControlPlaneNodeAdditionDone", look: controlPlaneNodes },
  { milestone: "WorkerNodeAdditionDone", look: workerNodes },
];

/** The way up: from a wish to a running cluster. Deletion is in plan-delete.ts. */
export function planCluster(seen: SpaSeen, options: PlanOptions): SpaPlan {
  if (isSilentlyRunning(seen)) return standStill(seen, options);
  const standings: Partial<Record<MilestoneKey, Standing>> = {};
  const conditions: ConditionDraft[] = [];
  const actions: SpaAction[] = [];
  let open: (Stage & { kind: "open" }) | undefined;
  let at: MilestoneKey | undefined;
  for (const { milestone, look } of parts) {
    if (open) break;
    at = milestone;
    const stage = look(seen, options);
    conditions.push(...(stage.conditions ?? []));
    if (stage.kind === "done") {
      standings[milestone] = { state: "Done", ...(stage.progress ? { progress: stage.progress } : {}) };
      continue;
    }
    open = stage;
    actions.push(...(stage.actions ?? []));
    standings[milestone] = {
      state: "InProgress",
      ...(stage.trouble ? { trouble: stage.trouble } : {}),
      ...(stage.waiting ? { waiting: true } : {}),
      ...(stage.progress ? { progress: stage.progress } : {}),
    };
  }
  for (const key of milestoneKeys) standings[key] ??= unseen(seen, key);
  const reserved = standings.CloudInfrastructureReady?.state === "Done";
  const upkeep = [...gatewayUpkeep(seen), ...(reserved ? upkeepActions(seen) : [])];
  const onGateway =
    at === "ImageResolutionDone" || at === "CloudInfrastructureReady" || at === "BootstrappingDone";
  return {
    actions: [
      ...(seen.spa.metadata.finalizers?.length ? [] : [{ do: "add finalizer" as const }]),
      ...upkeep,
      ...actions,
    ],
    conditions: [...conditions, ...healthCondition(seen, options.now)],
    standings,
    state: stateOf(seen, open),
    trouble: open?.trouble,
    machines: machinesSeen(seen),
    endpoint: resolvedEndpoint(seen),
    template: templateSeen(seen),
    pace: open ? (onGateway ? "watched" : "busy") : "steady",
  };
}

/** A milestone that was not looked at: what a cluster has behind it when it manages itself stays behind it. */
function unseen(seen: SpaSeen, key: MilestoneKey): Standing {
  const old = seen.spa.status?.milestones?.find((m) => m.key === key);
  return { state: seen.side === "workload" && old?.state === "Done" ? "Done" : "Pending" };
}

/** A cluster that ran and does not answer: our line may be cut. Silence is not failure, and takes no milestone back. */
function isSilentlyRunning(seen: SpaSeen): boolean {
  return (
    seen.spa.status?.state === "Running" && seen.side === "workload" && seen.workload.kind !== "reachable"
  );
}

function standStill(seen: SpaSeen, options: PlanOptions): SpaPlan {
  return {
    actions: [],
    conditions: healthCondition(seen, options.now),
    standings: "kept",
    state: "Running",
    pace: "steady",
  };
}

function stateOf(seen: SpaSeen, open: (Stage & { kind: "open" }) | undefined): ClusterState {
  if (!open) return "Running";
  if (seen.spa.status?.state === "Running" && seen.side === "workload") return "Running"; // day 2: milestones tell the rest
  return open.trouble?.blocked ? "Error" : "Provisioning";
}

// ---- stages, in order -----------------------------------------------------------------------------------------------------------

function isBorn(seen: SpaSeen): boolean {
  return seen.side !== "gateway" || objectsOf(seen.gateway, cluster).length > 0;
}

function condition(
  type: string,
  status: "True" | "False" | "Unknown",
  reason: string,
  message = "",
): ConditionDraft {
  return { type, status, reason, message };
}

/** Everything wrong with the wish, in one go: its text, its places, its credential, its pools. */
function validate(seen: SpaSeen): Stage {
  if (isBorn(seen)) {
    return {
      kind: "done",
      conditions: [
        condition("SpecValid", "True", "Valid"),
        condition("CredentialsValid", "True", "Accepted"),
      ],
    };
  }
  const { cloud, credential } = seen;
  const problems = [...specProblems(seen.spa.spec), ...roomProblems(seen.needs)];
  if (cloud.kind === "answered") problems.push(...cloud.problems);
  const credentials = credentialCondition(seen);
  const unsure = cloud.kind === "failed" && credentials.status !== "False" ? cloud.fault : undefined;
  const spec: ConditionDraft =
    problems.length > 0
      ? condition(
          "SpecValid",
          "False",
          problems.length === 1 ? "ProblemFound" : "ProblemsFound",
          problemsText(problems),
        )
      : unsure || credential.kind === "missing" || credentials.status === "False"
        ? condition("SpecValid", "Unknown", "NotChecked", "the places could not be checked in vCenter yet")
        : condition("SpecValid", "True", "Valid");
  const conditions = [spec, credentials];
  if (problems.length > 0 || credentials.status === "False") {
    const texts = [
      ...(credentials.status === "False" ? [credentials.message] : []),
      ...(problems.length > 0 ? [problemsText(problems)] : []),
    ];
    const code = problems.length > 0 ? "Invalid" : "Unauthorized";
    return {
      kind: "open",
      conditions,
      trouble: { code, message: texts.join("; "), object: spaText(seen), blocked: true },
    };
  }
  if (unsure) {
    return {
      kind: "open",
      conditions,
      trouble: { code: unsure.code, message: unsure.message, object: spaText(seen) },
    };
  }
  return { kind: "done", conditions };
}

function credentialCondition({ credential, cloud, spa }: SpaSeen): ConditionDraft {
  const type = "CredentialsValid";
  if (credential.kind === "missing") return condition(type, "False", "SecretMissing", credential.message);
  if (cloud.kind === "failed" && (cloud.fault.code === "Unauthorized" || cloud.fault.code === "Forbidden")) {
    return condition(
      type,
      "False",
      "Refused",
      `vCenter ${spa.spec.cloud.server} refuses user ${credential.username}: ${cloud.fault.message}; correct the password in Secret ${spa.spec.cloud.credentialRef.name}`,
    );
  }
  if (cloud.kind === "failed") return condition(type, "Unknown", "NotChecked", cloud.fault.message);
  return condition(type, "True", "Accepted");
}

function spaText({ spa }: SpaSeen): string {
  return `SpectroProvisioningAgent/${spa.metadata.name}`;
}

/** Addresses for all nodes, the API and the spares: claimed from the parents, then gathered in pools of the cluster's own. */
function reserve(seen: SpaSeen): Stage {
  const missing = seen.needs.flatMap(({ need, leases }) =>
    leases.filter((lease) => !lease.claim).map((lease) => ({ need, at: lease.at })),
  );
  if (missing.length > 0 && seen.side !== "none") {
    return {
      kind: "open",
      conditions: [
        condition("AddressesReserved", "False", "Claiming", `claiming ${missing.length} addresses`),
      ],
      actions: missing.map(({ need, at }) => apply(ipAddressClaim, leaseClaim(seen.spa.spec, need, at))),
    };
  }
  const all = seen.needs.flatMap((n) => n.leases);
  const bare = all.filter((lease) => !lease.address);
  if (bare.length > 0) {
    const first = bare[0]!;
    const why = exhausted(seen) ?? (first.claim && deepestCause([first.claim]));
    const message = `${bare.length} of ${all.length} claimed addresses have not come yet${why?.failed ? `: ${why.message}` : ""}`;
    return {
      kind: "open",
      conditions: [condition("AddressesReserved", "False", "WaitingForAddresses", message)],
      progress: { done: all.length - bare.length, total: all.length },
      ...(why?.failed
        ? { trouble: { code: why.code, message, object: `IPAddressClaim/${first.at.name}` }, waiting: true }
        : {}),
    };
  }
  return {
    kind: "done",
    conditions: [
      condition(
        "AddressesReserved",
        "True",
        "Reserved",
        all.length > 0 ? `${all.length} addresses` : "addresses come from DHCP",
      ),
    ],
  };
}

/** A parent pool that has run out of addresses while we wait for some. */
function exhausted({
  needs,
}: SpaSeen): { readonly code: string; readonly message: string; readonly failed: true } | undefined {
  const empty = needs.find(
    ({ room, leases }) => room !== undefined && room.free <= 0 && leases.some((lease) => !lease.address),
  );
  if (!empty) return undefined;
  const message = `pool "${poolText(empty.need.parent)}" has no free address left; add addresses to it`;
  return { code: "PoolExhausted", message, failed: true };
}

/** A template to clone from. */
function image(seen: SpaSeen): Stage {
  const type = "ImageResolutionDone";
  const template = templateSeen(seen);
  if (template) return { kind: "done", conditions: [condition(type, "True", "ImageResolved", template)] };
  const folder = controlPlanePlacement(seen.spa.spec).imageTemplateFolder;
  const wish = seen.spa.spec.image.template
    ? `the template "${seen.spa.spec.image.template}"`
    : `a template for Kubernetes ${seen.spa.spec.kubernetesVersion}${folder ? ` in folder "${folder}"` : ""}`;
  const message = `vCenter has no ${wish.replace(/^(the|a) /, "")}; import one, or name it in image.template`;
  return {
    kind: "open",
    conditions: [condition(type, "False", "LocatingBaseImage", message)],
    trouble: { code: "NotFound", message, object: spaText(seen), blocked: true },
  };
}

/** The objects of the cluster, then the cloud's word that it is ready for them. */
function infrastructure(seen: SpaSeen): Stage {
  const type = "CloudInfrastructureReady";
  if (seen.side !== "gateway")
    return { kind: "done", conditions: [condition(type, "True", "InfrastructureReady")] };
  const wanted = renderAll(seen);
  const missing = wanted.filter(({ kind, object }) => !has(seen, kind, object.metadata.name));
  if (missing.length > 0) {
    return {
      kind: "open",
      conditions: [
        condition(type, "False", "CreatingObjects", `writing ${missing.map((m) => m.kind.kind).join(", ")}`),
      ],
      actions: missing.map(({ kind, object }) => apply(kind, object)),
    };
  }
  const ready =
    objectsOf(seen.gateway, cluster).some(isInfrastructureReady) ||
    objectsOf(seen.gateway, vsphereCluster).some(isInfrastructureReady);
  if (ready) return { kind: "done", conditions: [condition(type, "True", "InfrastructureReady")] };
  return waitFor(seen, type, "WaitingForInfrastructure", "waiting for CAPV to reach vCenter");
}

/** The first control-plane node, made by Cluster API and CAPV. */
function firstNode(seen: SpaSeen): Stage {
  const type = "BootstrappingDone";
  if (
    seen.side !== "gateway" ||
    [...objectsOf(seen.gateway, cluster), ...objectsOf(seen.gateway, kubeadmControlPlane)].some(
      isControlPlaneInitialized,
    )
  ) {
    return { kind: "done", conditions: [condition(type, "True", "Bootstrapped")] };
  }
  return waitFor(seen, type, "WaitingForFirstNode", "waiting for the first control-plane node");
}

/** Cluster API is at work; what it says of the deepest object is what we say. */
function waitFor(seen: SpaSeen, type: string, reason: string, idle: string): Stage {
  const cause = deepestCause(seen.gateway.objects);
  const message = cause ? `${cause.object}: ${cause.message}` : idle;
  return {
    kind: "open",
    conditions: [condition(type, "False", cause?.code ?? reason, message)],
    waiting: true,
    ...(cause?.failed ? { trouble: { code: cause.code, message: cause.message, object: cause.object } } : {}),
  };
}

/** The API answers through its endpoint, and our copy of the kubeconfig outlasts the pivot. */
function kubeconfig(seen: SpaSeen): Stage {
  const type = "KubeConfigReady";
  const { made, kept } = seen.kubeconfig;
  const toKeep = made !== undefined && made !== kept ? [keep(made)] : [];
  if (!made && !kept) {
    return {
      kind: "open",
      conditions: [condition(type, "False", "WaitingForKubeconfig", "Cluster API has not written it yet")],
    };
  }
  if (toKeep.length > 0) {
    return { kind: "open", conditions: [condition(type, "False", "Keeping", "")], actions: toKeep };
  }
  const trouble = silence(seen);
  if (!trouble || seen.side !== "gateway")
    return { kind: "done", conditions: [condition(type, "True", "Ready")] };
  return {
    kind: "open",
    conditions: [condition(type, "False", "EndpointNotAnswering", trouble.message)],
    trouble,
  };
}

function keep(text: string): SpaAction {
  return { do: "keep kubeconfig", text: new Secret(text) };
}

/** That the cluster's API does not answer, as a trouble. */
function silence(seen: SpaSeen): Trouble | undefined {
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

/** Controllers and agent in the workload cluster; done when they run and the agent has spoken. */
function install(seen: SpaSeen, options: PlanOptions): Stage {
  const type = "ImagePullSecretPropagationDone";
  const { workload } = seen;
  if (seen.side !== "gateway") return { kind: "done", conditions: [condition(type, "True", "Completed")] };
  if (workload.kind !== "reachable") return { kind: "open" };
  const wanted = deploymentKeys(seen.names.uid, options.images);
  const absent = wanted.filter((at) => !workload.deployments.has(`${at.namespace}/${at.name}`));
  if (absent.length > 0 || workload.crds < options.crds || !workload.spectroCluster) {
    return {
      kind: "open",
      conditions: [
        condition(
          type,
          "False",
          "Installing",
          `${wanted.length - absent.length} of ${wanted.length} deployments written`,
        ),
      ],
      actions: [{ do: "install" }, deliverAction(seen)],
    };
  }
  const idle = wanted.filter((at) => !isAvailable(workload.deployments.get(`${at.namespace}/${at.name}`)));
  const progress = { done: wanted.length - idle.length, total: wanted.length };
  if (idle.length > 0) {
    const message = `waiting for ${idle.map((at) => `Deployment ${at.namespace}/${at.name}`).join(", ")}`;
    return {
      kind: "open",
      conditions: [condition(type, "False", "WaitingForDeployments", message)],
      progress,
    };
  }
  if (!workload.spectroCluster.status?.heartbeat) {
    return {
      kind: "open",
      conditions: [
        condition(type, "False", "ConnectivityIssue", "the agent runs, but has not written its heartbeat"),
      ],
      progress,
    };
  }
  return { kind: "done", conditions: [condition(type, "True", "Completed")] };
}

function isAvailable(object: Resource | undefined): boolean {
  const status = object?.status as
    { availableReplicas?: number; conditions?: { type: string; status: string }[] } | undefined;
  return (
    (status?.availableReplicas ?? 0) > 0 ||
    (status?.conditions?.some((c) => c.type === "Available" && c.status === "True") ?? false)
  );
}

/** The hand-over, by the journal. */
function pivot(seen: SpaSeen): Stage {
  const type = "PivotCompleted";
  const journal = seen.spa.status?.pivot;
  if (journal?.direction === "ToWorkload" && journal.step === "Done") {
    return { kind: "done", conditions: [condition(type, "True", "Completed", `epoch ${journal.epoch}`)] };
  }
  const underWay = journal && !isSettled(journal) ? journal : undefined;
  const text = underWay ? stepText(underWay) : "";
  return {
    kind: "open",
    conditions: [condition(type, "False", underWay?.step ?? "Starting", text)],
    // A round may see it through to its end; it begins in a round of its own, so that its beginning is told before its steps.
    actions: isAnnounced(seen, type) ? [{ do: "pivot", direction: "ToWorkload" }] : [],
    ...(underWay?.objects ? { progress: underWay.objects } : {}),
  };
}

/** Whether a milestone was reported as begun. */
export function isAnnounced(seen: SpaSeen, key: MilestoneKey): boolean {
  const state = seen.spa.status?.milestones?.find((m) => m.key === key)?.state;
  return state !== undefined && state !== "Pending";
}

/** The wish, as the plane has it now, lies in the cluster; the agent has it. */
function deliver(seen: SpaSeen): Stage {
  const type = "DesiredStateDelivered";
  if (seen.workload.kind !== "reachable") {
    return { kind: "done", conditions: [condition(type, "Unknown", "EndpointNotAnswering")] }; // the next part says what is wrong
  }
  const have = seen.workload.spectroCluster?.spec;
  if (have && have.counter >= seen.spa.spec.counter) {
    const observed = seen.workload.spectroCluster?.status?.observedCounter;
    const conditions = [
      condition(
        type,
        "True",
        "Delivered",
        `counter ${have.counter}${observed === undefined ? "" : `, the agent works on ${observed}`}`,
      ),
    ];
    return { kind: "done", conditions };
  }
  return {
    kind: "open",
    conditions: [condition(type, "False", "Delivering", `counter ${seen.spa.spec.counter}`)],
    actions: [deliverAction(seen)],
  };
}

function controlPlaneNodes(seen: SpaSeen): Stage {
  return agentStage(
    seen,
    "ControlPlaneNodeAdditionDone",
    seen.spa.spec.controlPlane.replicas,
    "control-plane",
  );
}

function workerNodes(seen: SpaSeen): Stage {
  return agentStage(
    seen,
    "WorkerNodeAdditionDone",
    seen.spa.spec.workerPools.reduce((sum, pool) => sum + pool.size, 0),
    "worker",
  );
}

/** What the agent says of its nodes is what we say. */
function agentStage(seen: SpaSeen, type: string, total: number, role: MachineStatus["role"]): Stage {
  const trouble = silence(seen);
  if (seen.workload.kind !== "reachable") return { kind: "open", ...(trouble ? { trouble } : {}) };
  const object = seen.workload.spectroCluster;
  const said = object && conditionsOf(object).find((c) => c.type === type);
  const ready = (object?.status?.machines ?? []).filter(
    (m) => m.role === role && m.phase === "Running",
  ).length;
  const progress = { done: Math.min(ready, total), total };
  const current = (object?.status?.observedCounter ?? 0) >= (object?.spec.counter ?? 1);
  if (said?.status === "True" && current)
    return { kind: "done", conditions: [condition(type, "True", said.reason, said.message)], progress };
  const message = said && current ? said.message : "the agent has not looked at it yet";
  return {
    kind: "open",
    conditions: [condition(type, "False", said?.reason ?? "Waiting", message)],
    progress,
    waiting: true,
  };
}

// ---- while it runs --------------------------------------------------------------------------------------------------------------

/** A corrected password reaches a cluster that is not moving. */
export function gatewayUpkeep(seen: SpaSeen): SpaAction[] {
  const identity = identityOf(seen);
  const owns = seen.side === "gateway" && isSettled(seen.spa.status?.pivot); // L1
  if (!owns || !identity || !seen.identity || includes(seen.identity, { data: identity.data })) return [];
  return [apply(secret, identity, true)];
}

/** Things that follow the wish without being a milestone: a changed password, a larger pool. */
function upkeepActions(seen: SpaSeen): SpaAction[] {
  if (seen.side !== "workload" || seen.workload.kind !== "reachable") return [];
  const actions: SpaAction[] = [];
  const { kubeconfig: renewed } = seen.workload;
  if (renewed !== undefined && renewed !== seen.kubeconfig.kept) actions.push(keep(renewed)); // its certificate lasts a year
  const identity = identityOf(seen);
  if (identity && !includes(seen.workload.identity, { data: identity.data })) {
    actions.push({ do: "apply", on: "workload", kind: secret, object: identity, hold: true }); // L1: this side owns the cluster
  }
  for (const pool of childPools(seen)) {
    const have = seen.workload.childPools.find((p) => p.metadata.name === pool.metadata.name);
    if (!includes(have?.spec, pool.spec))
      actions.push({ do: "apply", on: "workload", kind: inClusterIPPool, object: pool, hold: true });
  }
  return actions;
}

/** Ours: a beat every 30 s, in doubt after 2 minutes, unhealthy after 10 (Palette's figure). */
const doubtAfterMs = 2 * 60_000;
const unhealthyAfterMs = 10 * 60_000;

function healthCondition(seen: SpaSeen, now: number): ConditionDraft[] {
  if (seen.side !== "workload" || !isSettled(seen.spa.status?.pivot)) return [];
  const { workload } = seen;
  if (workload.kind === "unreachable") {
    return [condition("Healthy", "Unknown", "EndpointNotAnswering", workload.fault.message)];
  }
  if (workload.kind !== "reachable") return [];
  const beat = workload.spectroCluster?.status?.heartbeat?.lastHeartbeat;
  const silentMs = beat ? now - Date.parse(beat) : 0;
  if (silentMs < doubtAfterMs) return [condition("Healthy", "True", "Beating")];
  const status = silentMs < unhealthyAfterMs ? "Unknown" : "False";
  return [condition("Healthy", status, "HeartbeatMissing", `the agent's last heartbeat was at ${beat}`)];
}

function machinesSeen(seen: SpaSeen): readonly MachineStatus[] | undefined {
  if (seen.side === "gateway") return machineStatuses(seen.gateway.objects);
  if (seen.workload.kind !== "reachable") return undefined;
  const told = seen.workload.spectroCluster?.status?.machines;
  return told?.length ? told : undefined;
}

// ---- rendering ------------------------------------------------------------------------------------------------------------------

function apply(kind: Kind, object: Draft<Resource>, hold = false): SpaAction {
  return { do: "apply", on: "gateway", kind, object, ...(hold ? { hold } : {}) };
}

interface Wanted {
  readonly kind: Kind;
  readonly object: Draft<Resource>;
}

/** All objects of a cluster on the gateway, in the order in which they are written (L2). */
export function renderAll(seen: SpaSeen): Wanted[] {
  const { spec } = seen.spa;
  const endpoint = resolvedEndpoint(seen);
  const template = templateSeen(seen);
  const identity = identityOf(seen);
  if (!endpoint || !template || !identity) return [];
  const resolved: Resolved = { endpoint, template };
  const machine = machineTemplate(
    vsphereMachineTemplate,
    spec,
    seen.names.namespace,
    seen.names.controlPlane,
    {
      placement: controlPlanePlacement(spec),
      instance: spec.controlPlane.instance,
      template,
    },
  );
  return [
    { kind: secret, object: identity },
    ...childPools(seen).map((object) => ({ kind: inClusterIPPool, object })),
    { kind: vsphereMachineTemplate, object: machine },
    { kind: kubeadmControlPlane, object: controlPlane(spec, resolved, machine.metadata.name, 1) },
    { kind: vsphereCluster, object: vsphereClusterObject(spec, resolved) },
    { kind: cluster, object: clusterObject(spec, resolved) },
  ];
}

function has(seen: SpaSeen, kind: Kind, name: string | undefined): boolean {
  if (kind === secret) return seen.identity !== undefined;
  if (kind === inClusterIPPool) return seen.childPools.some((p) => p.metadata.name === name);
  // A template whose content would be another today still serves: what exists is not judged again (L3).
  if (kind === vsphereMachineTemplate && objectsOf(seen.gateway, kubeadmControlPlane).length > 0) return true;
  return seen.gateway.objects.some((o) => o.kind === kind.kind && o.metadata.name === name);
}

/** The identity Secret from the credential as it is now; undefined while there is none. */
export function identityOf(seen: Pick<SpaSeen, "credential" | "spa">) {
  const { credential } = seen;
  if (credential.kind === "missing") return undefined;
  return identitySecret(seen.spa.spec, {
    username: encode64(credential.username),
    password: encode64(credential.password.reveal()),
  });
}

/** The cluster's own pools, from the leased addresses. */
export function childPools(
  seen: Pick<SpaSeen, "needs" | "spa">,
): (Draft<Resource> & { readonly metadata: { readonly name?: string } })[] {
  return seen.needs.map((need) => childPool(seen.spa.spec, need.need.child, poolAddresses(need)));
}

function poolAddresses({ need, leases }: NeedSeen): LeasedAddress[] {
  return leases.slice(need.vip ? 1 : 0).flatMap((lease) => (lease.address ? [lease.address] : []));
}

/** The API's endpoint: as wished, or the first leased address. */
export function resolvedEndpoint(seen: Pick<SpaSeen, "needs" | "spa">): Resolved["endpoint"] | undefined {
  const { host, port } = seen.spa.spec.network.endpoint;
  if (host) return { host, port };
  const vip =
    seen.needs.find((n) => n.need.vip)?.leases[0]?.address?.address ?? seen.spa.status?.endpoint?.host;
  return vip ? { host: vip, port } : undefined;
}

function templateSeen(seen: SpaSeen): string | undefined {
  if (seen.cloud.kind === "answered" && seen.cloud.template) return seen.cloud.template;
  return (
    renderedTemplate(seen.gateway) ??
    (isBorn(seen) ? (seen.spa.status?.template ?? seen.spa.spec.image.template) : undefined)
  );
}

function deliverAction(seen: SpaSeen): SpaAction {
  return { do: "deliver", desired: desiredState(seen), counter: seen.spa.spec.counter };
}

/** The wish without what only the gateway may hold, and with what only the gateway could find out. */
export function desiredState(seen: SpaSeen): DesiredState {
  const { agent: _agent, cloud, ...spec } = seen.spa.spec;
  const { credentialRef: _ref, ...rest } = cloud;
  const template = templateSeen(seen);
  const endpoint = resolvedEndpoint(seen);
  return {
    ...spec,
    cloud: rest,
    ...(template ? { image: { ...spec.image, template } } : {}),
    ...(endpoint
      ? { network: { ...spec.network, endpoint: { ...spec.network.endpoint, ...endpoint } } }
      : {}),
  };
}

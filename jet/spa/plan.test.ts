// Decisions by table: what is seen, and what follows. The stages are in their order; each line changes one thing of the one before.
import { describe, expect, it } from "vitest";
import { Fault, Secret, type Kind, type OwnedStore, type Resource } from "#core";
import {
  cluster,
  deployment,
  ipAddressClaim,
  kubeadmControlPlane,
  secret,
  spa,
  spectroCluster,
  vsphereCluster,
  vsphereMachineTemplate,
  type Deployment,
  type IPAddressClaim,
  type SecretObject,
  type Spa,
  type SpaStatus,
  type SpectroCluster,
} from "#proto";
import { addressNeeds } from "#proto/render/addresses.ts";
import { clusterNames, words } from "#proto/render/names.ts";
import { machineTemplate } from "#proto/render/machine-template.ts";
import { deploymentKeys, defaultImages, plainProviders } from "../providers.ts";
import { leaseNames } from "../render/lease.ts";
import { wish } from "../testing/world.ts";
import type { PivotJournal } from "../pivot/journal.ts";
import type { NeedSeen, SpaSeen, WorkloadSeen } from "./seen.ts";
import { planDeletion } from "./plan-delete.ts";
import { desiredState } from "./rendered.ts";
import { planCluster } from "./plan.ts";
import type { SpaPlan } from "./spa-plan.ts";
import type { SpaAction } from "./action.ts";

const spec = wish();
const ns = "cluster-u1";
const now = Date.UTC(2026, 0, 1);
const providers = plainProviders(defaultImages);
const options = { providers, digest: () => "d", now };

function thing<R extends Resource>(kind: Kind<R>, name: string, more: object = {}): R {
  const { metadata, ...rest } = more as { metadata?: object };
  return {
    apiVersion: kind.group ? `${kind.group}/${kind.version}` : kind.version,
    kind: kind.kind,
    metadata: {
      name,
      namespace: ns,
      uid: name,
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: "",
      ...metadata,
    },
    spec: {},
    ...rest,
  } as unknown as R;
}

function spaWith(status: SpaStatus = {}, change: Parameters<typeof wish>[0] = {}): Spa {
  return thing(spa, "c1", { spec: wish(change), status, metadata: { finalizers: [words.spaFinalizer] } });
}

const journal = (direction: PivotJournal["direction"], step: string): PivotJournal => ({
  direction,
  id: "p",
  epoch: 1,
  step,
  stepStartedAt: "2026-01-01T00:00:00Z",
  attempts: 1,
});

/** `claims` of the six leases exist, `addresses` of them have an address. */
function needsWith(claims: number, addresses: number, free = 6): NeedSeen[] {
  const [need] = addressNeeds(spec);
  const leases = leaseNames(spec, need!).map((at, index) => ({
    at,
    claim: index < claims ? (thing(ipAddressClaim, at.name, { spec: {} }) as IPAddressClaim) : undefined,
    address:
      index < addresses ? { address: `10.0.0.${index + 10}`, prefix: 24, gateway: "10.0.0.1" } : undefined,
  }));
  return [{ need: need!, room: { total: 6, free }, leases }];
}

const fresh: SpaSeen = {
  spa: spaWith(),
  names: clusterNames("u1", "c1"),
  deleting: false,
  side: "gateway",
  credential: { kind: "found", username: "u", password: new Secret("p"), version: "1" },
  cloud: { kind: "answered", problems: [], template: "/DC0/vm/t" },
  needs: needsWith(0, 0),
  gateway: { objects: [] },
  identity: undefined,
  childPools: [],
  kubeconfig: { made: undefined, kept: undefined },
  workload: { kind: "none" },
  ledger: { vms: [], places: [] },
  strays: { kind: "unasked" },
  secrets: [],
  leaseClaims: [],
};

const reserved: SpaSeen = { ...fresh, needs: needsWith(6, 6) };
const template = machineTemplate(vsphereMachineTemplate, spec, ns, "c1-cp", {
  placement: spec.placement,
  instance: spec.controlPlane.instance,
  template: "/DC0/vm/t",
});
const written: SpaSeen = {
  ...reserved,
  cloud: { kind: "unasked" },
  identity: thing(secret, "c1-identity", { data: { username: "dQ==", password: "cA==" } }) as SecretObject,
  childPools: [thing({ group: "g", version: "v", kind: "InClusterIPPool" } as Kind, "c1")],
  gateway: {
    objects: [
      thing(vsphereMachineTemplate, template.metadata.name, { spec: template.spec }),
      thing(kubeadmControlPlane, "c1-cp"),
      thing(vsphereCluster, "c1", { spec: { server: "vc.test", thumbprint: "AA:BB" } }),
      thing(cluster, "c1"),
    ],
  },
};
const withStatus = (seen: SpaSeen, kind: Kind, status: object): SpaSeen => ({
  ...seen,
  gateway: { objects: seen.gateway.objects.map((o) => (o.kind === kind.kind ? { ...o, status } : o)) },
});
const provisioned = withStatus(written, vsphereCluster, { initialization: { provisioned: true } });
const initialized = withStatus(provisioned, kubeadmControlPlane, {
  initialization: { controlPlaneInitialized: true },
});
const kept: SpaSeen = { ...initialized, kubeconfig: { made: "K", kept: "K" } };

const running = (available: number): ReadonlyMap<string, Deployment> =>
  new Map(
    deploymentKeys("u1", providers).map((at) => [
      `${at.namespace}/${at.name}`,
      thing(deployment, at.name, { status: { availableReplicas: available } }) as Deployment,
    ]),
  );
function reachable(change: Partial<Extract<WorkloadSeen, { kind: "reachable" }>> = {}): WorkloadSeen {
  return {
    kind: "reachable",
    store: undefined as unknown as OwnedStore,
    installed: { digest: "d" },
    deployments: running(1),
    spectroCluster: undefined,
    identity: undefined,
    kubeconfig: undefined,
    childPools: [],
    ...change,
  };
}
const spc = (status: object, counter = 1) =>
  thing(spectroCluster, "c1", { spec: { desired: desiredState(kept), counter }, status }) as SpectroCluster;
const beating = { heartbeat: { version: "1", lastHeartbeat: "2026-01-01T00:00:00Z" } };
const installed: SpaSeen = { ...kept, workload: reachable({ spectroCluster: spc(beating) }) };
const announced = {
  milestones: [{ key: "PivotCompleted", title: "", state: "InProgress" as const, attempt: 1 }],
};
const pivoted: SpaSeen = {
  ...reserved,
  spa: spaWith({ pivot: journal("ToWorkload", "Done"), template: "/DC0/vm/t" }),
  cloud: { kind: "unasked" },
  side: "workload",
  kubeconfig: { made: undefined, kept: "K" },
  workload: reachable({
    spectroCluster: spc(beating),
    identity: written.identity,
    childPools: [
      thing({ group: "g", version: "v", kind: "InClusterIPPool" } as Kind, "c1", {
        spec: {
          addresses: [11, 12, 13, 14, 15].map((n) => `10.0.0.${n}`),
          prefix: 24,
          gateway: "10.0.0.1",
          allocateReservedIPAddresses: true,
        },
      }),
    ],
  }),
};
const added = (type: string) => ({
  type,
  status: "True",
  reason: "Added",
  message: "",
  lastTransitionTime: "",
});
const complete: SpaSeen = {
  ...pivoted,
  workload: {
    ...(pivoted.workload as Extract<WorkloadSeen, { kind: "reachable" }>),
    spectroCluster: spc({
      ...beating,
      observedCounter: 1,
      conditions: [added("ControlPlaneNodeAdditionDone"), added("WorkerNodeAdditionDone")],
    }),
  },
};

function actionText(action: SpaAction): string {
  switch (action.do) {
    case "apply":
      return `${action.hold ? "hold" : "apply"} ${action.kind.kind}${action.on === "workload" ? " in the cluster" : ""}`;
    case "delete":
      return `delete ${action.kind.kind}`;
    case "pivot":
      return `pivot ${action.direction}`;
    case "destroy":
      return `destroy ${action.vms.map((vm) => vm.name).join(" ")}`;
    default:
      return action.do;
  }
}

function told(plan: SpaPlan): string {
  const open = Object.entries(plan.standings === "kept" ? {} : plan.standings).find(
    ([, s]) => s.state === "InProgress",
  );
  const actions = plan.actions.map(actionText);
  const short = actions.length > 3 ? [`${actions[0]} ×${actions.length}`] : actions;
  return `${plan.state}; at ${open?.[0] ?? "-"}; ${short.join(", ") || "-"}${plan.trouble ? `; ${plan.trouble.code}` : ""}${ledgerText(plan)}`;
}

function ledgerText({ deletion, actions }: SpaPlan): string {
  const left = actions.flatMap((action) => (action.do === "say deleted" ? action.left : []));
  return `${deletion?.way === "ByLedger" ? "; by ledger" : ""}${left.length > 0 ? `; left ${left.join()}` : ""}`;
}

const unavailable = { kind: "failed" as const, fault: new Fault("Unavailable", "no route") };
const refused = { kind: "failed" as const, fault: new Fault("Unauthorized", "incorrect password") };

describe("planCluster", () => {
  const table: readonly (readonly [string, SpaSeen, string])[] = [
    [
      "a new wish",
      { ...fresh, spa: { ...fresh.spa, metadata: { ...fresh.spa.metadata, finalizers: [] } } },
      "Provisioning; at CloudInfrastructureReady; add finalizer ×7",
    ],
    [
      "no credential",
      { ...fresh, credential: { kind: "missing", message: "none" }, cloud: { kind: "unasked" } },
      "Error; at ImageResolutionDone; -; Unauthorized",
    ],
    ["a refused login", { ...fresh, cloud: refused }, "Error; at ImageResolutionDone; -; Unauthorized"],
    [
      "a vCenter that does not answer",
      { ...fresh, cloud: unavailable },
      "Provisioning; at ImageResolutionDone; -; Unavailable",
    ],
    [
      "a pool with too little room",
      { ...fresh, needs: needsWith(0, 0, 5) },
      "Error; at ImageResolutionDone; -; Invalid",
    ],
    [
      "leases that are claimed in part",
      { ...fresh, needs: needsWith(4, 0, 2) },
      "Provisioning; at CloudInfrastructureReady; apply IPAddressClaim, apply IPAddressClaim",
    ],
    [
      "addresses on their way",
      { ...fresh, needs: needsWith(6, 2) },
      "Provisioning; at CloudInfrastructureReady; -",
    ],
    [
      "addresses that cannot come",
      { ...fresh, needs: needsWith(6, 2, 0) },
      "Provisioning; at CloudInfrastructureReady; -; PoolExhausted",
    ],
    [
      "no template",
      { ...reserved, cloud: { kind: "answered", problems: [], template: undefined } },
      "Error; at ImageResolutionDone; -; NotFound",
    ],
    ["everything reserved", reserved, "Provisioning; at CloudInfrastructureReady; apply Secret ×6"],
    [
      "a Cluster that is missing alone",
      { ...written, cloud: reserved.cloud, gateway: { objects: written.gateway.objects.slice(0, 3) } },
      "Provisioning; at CloudInfrastructureReady; apply Cluster",
    ],
    ["all objects written", written, "Provisioning; at CloudInfrastructureReady; -"],
    [
      "another password meanwhile",
      { ...written, credential: { kind: "found", username: "u", password: new Secret("q"), version: "2" } },
      "Provisioning; at CloudInfrastructureReady; hold Secret",
    ],
    ["infrastructure ready", provisioned, "Provisioning; at BootstrappingDone; -"],
    ["a first node", initialized, "Provisioning; at KubeConfigReady; -"],
    [
      "a kubeconfig",
      { ...initialized, kubeconfig: { made: "K", kept: undefined } },
      "Provisioning; at KubeConfigReady; keep kubeconfig",
    ],
    [
      "a kubeconfig that is kept, an API that is silent",
      {
        ...kept,
        workload:
          unavailable.kind === "failed" ? { kind: "unreachable", fault: unavailable.fault } : kept.workload,
      },
      "Provisioning; at KubeConfigReady; -; Unavailable",
    ],
    [
      "an API that answers",
      { ...kept, workload: reachable({ deployments: new Map(), installed: undefined }) },
      "Provisioning; at ImagePullSecretPropagationDone; install, deliver",
    ],
    [
      "deployments that start",
      { ...kept, workload: reachable({ deployments: running(0), spectroCluster: spc({}) }) },
      "Provisioning; at ImagePullSecretPropagationDone; -",
    ],
    [
      "an agent that has not spoken",
      { ...kept, workload: reachable({ spectroCluster: spc({}) }) },
      "Provisioning; at ImagePullSecretPropagationDone; -",
    ],
    ["an agent that has spoken", installed, "Provisioning; at PivotCompleted; -"],
    [
      "a hand-over that is announced",
      { ...installed, spa: spaWith(announced) },
      "Provisioning; at PivotCompleted; pivot ToWorkload",
    ],
    [
      "a hand-over under way",
      {
        ...installed,
        side: "none",
        spa: spaWith({ ...announced, pivot: journal("ToWorkload", "FenceSource") }),
      },
      "Provisioning; at PivotCompleted; pivot ToWorkload",
    ],
    ["a hand-over that is done", pivoted, "Provisioning; at ControlPlaneNodeAdditionDone; -"],
    [
      "a newer wish",
      { ...pivoted, spa: spaWith(pivoted.spa.status, { counter: 2 }) },
      "Provisioning; at PivotCompleted; deliver",
    ],
    ["an agent that is done", complete, "Running; at -; -"],
    [
      "another password in a running cluster",
      { ...complete, credential: { kind: "found", username: "u", password: new Secret("q"), version: "2" } },
      "Running; at -; hold Secret in the cluster",
    ],
    [
      "silence of a running cluster",
      {
        ...complete,
        spa: spaWith({ ...complete.spa.status, state: "Running" }),
        workload: { kind: "unreachable", fault: unavailable.fault },
      },
      "Running; at -; -",
    ],
  ];
  it.each(table)("%s", (_what, seen, expected) => {
    expect(told(planCluster(seen, options))).toBe(expected);
  });

  it("writes the credential first and the Cluster last", () => {
    expect(planCluster(reserved, options).actions.map(actionText)).toEqual([
      "apply Secret",
      "apply InClusterIPPool",
      "apply VSphereMachineTemplate",
      "apply KubeadmControlPlane",
      "apply VSphereCluster",
      "apply Cluster",
    ]);
  });

  it("never writes the credential to the gateway once a pivot has begun", () => {
    for (const step of ["PauseSource", "Create", "Commit", "FenceSource", "Resume", "Watch", "Done"]) {
      const side =
        step === "Done" || step === "Watch"
          ? "workload"
          : step === "PauseSource" || step === "Create"
            ? "gateway"
            : "none";
      const seen: SpaSeen = {
        ...installed,
        side,
        spa: spaWith({ ...announced, pivot: journal("ToWorkload", step) }),
        credential: { kind: "found", username: "u", password: new Secret("other"), version: "9" },
        ...(side === "gateway" ? {} : { identity: undefined, gateway: { objects: [] } }),
      };
      const here = planCluster(seen, options).actions.filter(
        (a) => a.do === "apply" && a.on === "gateway" && a.kind === secret,
      );
      expect(here, step).toEqual([]);
    }
  });

  it("delivers no credential and no token", () => {
    const text = JSON.stringify(desiredState(installed));
    expect(text).not.toContain("one-time");
    expect(text).not.toContain("credentialRef");
    expect(text).toContain('"template":"/DC0/vm/t"');
  });
});

describe("planDeletion", () => {
  const down = (seen: SpaSeen): SpaSeen => ({ ...seen, deleting: true });
  const deletingCluster = written.gateway.objects.map((o) => ({
    ...o,
    metadata: { ...o.metadata, deletionTimestamp: "t" },
  }));
  const counted = (...names: string[]) => ({
    kind: "counted" as const,
    vms: names.map((name) => ({ name, biosUUID: name, moref: name, role: "control-plane" as const })),
  });
  const bare: SpaSeen = { ...down(fresh), needs: [], strays: counted() };
  const orphan = (seen: SpaSeen): SpaSeen => ({ ...seen, spa: spaWith({}, { deletePolicy: "Orphan" }) });
  const paused = (status: "True" | "False"): SpaSeen => {
    const said = {
      conditions: [{ type: "Paused", status, reason: "r", message: "", lastTransitionTime: "" }],
    };
    const objects = written.gateway.objects.map((o) =>
      o.kind === "Cluster" ? { ...o, spec: { paused: true }, status: said } : o,
    );
    return { ...written, gateway: { objects } };
  };
  const back = {
    milestones: [{ key: "ManagementReturned", title: "", state: "InProgress" as const, attempt: 1 }],
  };
  const made = { vms: [{ name: "m", biosUUID: "b", controlPlane: true }], places: [] };

  const minutesAgo = (minutes: number) => new Date(now - minutes * 60_000).toISOString();
  const gone: SpaStatus = { pivot: journal("ToWorkload", "Done") };
  const missing = { kind: "missing" as const, message: "none" };
  const lease = thing(ipAddressClaim, "u1-lease-0") as IPAddressClaim;
  const worker = { name: "w", biosUUID: "w", moref: "w", role: "worker" as const };
  const silent = down({
    ...complete,
    spa: spaWith(gone),
    ledger: made,
    workload: { kind: "unreachable", fault: unavailable.fault },
    strays: counted("m"),
    needs: [],
  });
  const byLedger = (
    change: Partial<SpaSeen>,
    memory: object = {},
    deletePolicy: "Force" | "Graceful" = "Graceful",
  ): SpaSeen => ({
    ...silent,
    ...change,
    spa: spaWith({ ...gone, deletion: { way: "ByLedger", ...memory } }, { deletePolicy }),
  });
  const lackingProvider: SpaSeen = {
    ...complete,
    workload: {
      ...(complete.workload as Extract<WorkloadSeen, { kind: "reachable" }>),
      deployments: new Map(),
    },
  };

  const table: readonly (readonly [string, SpaSeen, string])[] = [
    ["a cluster on the gateway", down(written), "Deleting; at WorkerNodeDeletionDone; wake, delete Cluster"],
    [
      "without a credential",
      down({ ...written, credential: { kind: "missing", message: "none" } }),
      "Deleting; at WorkerNodeDeletionDone; -; SecretMissing",
    ],
    [
      "objects without a Cluster",
      down({ ...written, gateway: { objects: written.gateway.objects.slice(0, 2) } }),
      "Deleting; at WorkerNodeDeletionDone; delete VSphereMachineTemplate, delete KubeadmControlPlane",
    ],
    [
      "a Cluster that goes",
      down({ ...written, gateway: { objects: deletingCluster } }),
      "Deleting; at ControlPlaneNodeDeletionDone; -",
    ],
    [
      "VMs that outlived it",
      { ...bare, strays: counted("vm-1") },
      "Deleting; at ControlPlaneNodeDeletionDone; destroy vm-1",
    ],
    [
      "a vCenter that does not answer, after machines",
      { ...bare, ledger: made, strays: unavailable },
      "Deleting; at ControlPlaneNodeDeletionDone; -; Unavailable",
    ],
    [
      "a vCenter that does not answer, without any machine ever",
      { ...bare, strays: unavailable },
      "Deleting; at ResourcesReleased; delete Secret ×4",
    ],
    [
      "leases, before the proof is written down",
      { ...bare, leaseClaims: [lease] },
      "Deleting; at ResourcesReleased; -",
    ],
    [
      "leases",
      {
        ...bare,
        spa: spaWith({ deletion: { way: "Graceful", provedAt: minutesAgo(0) } }),
        leaseClaims: [thing(ipAddressClaim, "u1-lease-0") as IPAddressClaim],
      },
      "Deleting; at ResourcesReleased; delete IPAddressClaim",
    ],
    ["nothing", bare, "Deleting; at ResourcesReleased; delete Secret ×4"],
    [
      "a hand-over that is not decided",
      down({ ...installed, spa: spaWith({ pivot: journal("ToWorkload", "Create") }) }),
      "Deleting; at ManagementReturned; roll back",
    ],
    [
      "a hand-over that is decided",
      down({ ...installed, side: "none", spa: spaWith({ ...back, pivot: journal("ToWorkload", "Commit") }) }),
      "Deleting; at ManagementReturned; pivot ToWorkload",
    ],
    [
      "a cluster that manages itself",
      down({ ...complete, spa: spaWith({ ...back, pivot: journal("ToWorkload", "Done") }) }),
      "Deleting; at ManagementReturned; pivot ToGateway",
    ],
    [
      "a cluster that manages itself and is silent",
      down({
        ...complete,
        workload: { kind: "unreachable", fault: unavailable.fault },
        strays: counted("m"),
      }),
      "Deleting; at ManagementReturned; -; WorkloadUnreachable",
    ],
    [
      "a silent cluster whose VMs are all gone: the decision first",
      { ...silent, strays: counted() },
      "Deleting; at ManagementReturned; -; by ledger",
    ],
    [
      "a cluster that has been silent for too long",
      { ...silent, spa: spaWith({ ...gone, deletion: { way: "Graceful", apiSilentSince: minutesAgo(15) } }) },
      "Deleting; at ManagementReturned; -; by ledger",
    ],
    [
      "a silent cluster, forced",
      { ...silent, spa: spaWith(gone, { deletePolicy: "Force" }) },
      "Deleting; at ManagementReturned; -; by ledger",
    ],
    [
      "an answering cluster, forced",
      down({ ...complete, spa: spaWith({ ...gone, ...back }, { deletePolicy: "Force" }) }),
      "Deleting; at ManagementReturned; pivot ToGateway",
    ],
    [
      "forced, and something in the way",
      down({ ...written, credential: missing, spa: spaWith({}, { deletePolicy: "Force" }) }),
      "Deleting; at WorkerNodeDeletionDone; -; by ledger",
    ],
    [
      "by ledger, with objects awake on the gateway",
      byLedger({ ...written, strays: counted("m") }),
      "Deleting; at ManagementReturned; fence; by ledger",
    ],
    [
      "by ledger: control planes before workers",
      byLedger({ strays: { ...counted(), vms: [...counted("m").vms, worker] } }),
      "Deleting; at ManagementReturned; destroy m; by ledger",
    ],
    [
      "by ledger: workers",
      byLedger({ strays: { ...counted(), vms: [worker] } }),
      "Deleting; at WorkerNodeDeletionDone; destroy w; by ledger",
    ],
    [
      "by ledger: objects, when no VM is left",
      byLedger({ ...written, identity: undefined, gateway: paused("False").gateway, strays: counted() }),
      "Deleting; at ControlPlaneNodeDeletionDone; forget objects; by ledger",
    ],
    [
      "by ledger: a second look",
      byLedger({ strays: counted() }),
      "Deleting; at ControlPlaneNodeDeletionDone; -; by ledger",
    ],
    [
      "by ledger: the end",
      byLedger({ strays: counted() }, { emptySince: minutesAgo(1) }),
      "Deleting; at ResourcesReleased; delete Secret ×4; by ledger",
    ],
    [
      "by ledger, without vCenter",
      byLedger({ strays: unavailable }, { cloudSilentSince: minutesAgo(15) }),
      "Deleting; at ManagementReturned; -; Unavailable; by ledger",
    ],
    [
      "by ledger, without vCenter, forced: not yet",
      byLedger({ strays: unavailable }, { cloudSilentSince: minutesAgo(14) }, "Force"),
      "Deleting; at ManagementReturned; -; Unavailable; by ledger",
    ],
    [
      "by ledger, without vCenter, forced: the end, with the addresses left leased",
      byLedger({ strays: unavailable, leaseClaims: [lease] }, { cloudSilentSince: minutesAgo(15) }, "Force"),
      "Deleting; at ResourcesReleased; delete Secret, say deleted, remove finalizer; by ledger; left m (b)",
    ],
    [
      "without a provider in the cluster: it is put back",
      down({ ...lackingProvider, spa: spaWith({ ...gone, ...back }) }),
      "Deleting; at ManagementReturned; install, pivot ToGateway",
    ],
    [
      "a deletion that somebody pauses",
      down({
        ...written,
        gateway: {
          objects: deletingCluster.map((o) => ({ ...o, spec: { ...(o.spec as object), paused: true } })),
        },
      }),
      "Deleting; at ControlPlaneNodeDeletionDone; wake",
    ],
    [
      "a deletion whose credential somebody took",
      down({ ...written, identity: undefined, gateway: { objects: deletingCluster } }),
      "Deleting; at ControlPlaneNodeDeletionDone; apply Secret",
    ],
    [
      "a cluster that came back",
      down({ ...written, spa: spaWith({ pivot: journal("ToGateway", "Done") }) }),
      "Deleting; at WorkerNodeDeletionDone; wake, delete Cluster",
    ],
    ["an orphan", down(orphan(written)), "Deleting; at ControlPlaneNodeDeletionDone; pause"],
    [
      "an orphan whose controllers still act",
      down(orphan(paused("False"))),
      "Deleting; at ControlPlaneNodeDeletionDone; -",
    ],
    [
      "an orphan that holds still",
      down(orphan(paused("True"))),
      "Deleting; at ControlPlaneNodeDeletionDone; forget objects",
    ],
    [
      "an orphan whose leases lie in its namespace",
      { ...orphan(bare), leaseClaims: [thing(ipAddressClaim, "c1-lease-0") as IPAddressClaim] },
      "Deleting; at ResourcesReleased; delete Secret, say deleted, remove finalizer",
    ],
  ];
  it.each(table)("%s", (_what, seen, expected) => {
    expect(told(planDeletion(seen, { ...options, deadAfterMs: 900_000 }))).toBe(expected);
  });
});

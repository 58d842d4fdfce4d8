// Would Cluster API replace machines once it wakes up? What it compares, compared beforehand. Pure.
//
// Upstream replaces a machine whose version, infrastructure template or bootstrap configuration is another than its owner asks for, or
// that is older than a rollout.after that has passed (KubeadmControlPlane and MachineDeployment, Cluster API 1.13).
import type { Resource } from "#core";
import {
  kubeadmConfig,
  kubeadmControlPlane,
  machine,
  machineDeployment,
  machineSet,
  vsphereMachine,
} from "#proto";
import { canonicalJson } from "#proto/render/shape.ts";
import type { Member } from "./closure.ts";

const controlPlaneLabel = "cluster.x-k8s.io/control-plane";
const clonedFrom = "cluster.x-k8s.io/cloned-from-name";
/** Parts of a bootstrap configuration that Cluster API copies as they are into each machine's own. */
const copiedParts = ["format", "files", "users", "ntp", "preKubeadmCommands", "postKubeadmCommands"] as const;

/** Each machine that would be replaced, with why: "Machine/c1-cp-x: version v1.34.0, v1.35.4 is wanted". */
export function predictRollouts(members: readonly Member[], now: number): string[] {
  const world = new Map(members.map((m) => [`${m.kind.kind}/${m.object.metadata.name}`, m.object]));
  const machines = members.filter((m) => m.kind === machine).map((m) => m.object);
  return members.flatMap(({ kind, object }) => {
    if (kind === kubeadmControlPlane) {
      const own = machines.filter((m) => m.metadata.labels?.[controlPlaneLabel] !== undefined);
      return own.flatMap((m) => ofControlPlane(object, m, world, now));
    }
    if (kind === machineDeployment) return ofDeployment(object, members, now);
    return [];
  });
}

/** Rollouts that only the copies would see: the move itself brings them about. Also those that it would make Cluster API forget. */
export function rolloutsOfMove(
  before: readonly Member[],
  after: readonly Member[],
  now: number,
): { readonly begun: readonly string[]; readonly forgotten: readonly string[] } {
  const [was, is] = [predictRollouts(before, now), predictRollouts(after, now)];
  return { begun: is.filter((w) => !was.includes(w)), forgotten: was.filter((w) => !is.includes(w)) };
}

interface PlaneSpec {
  readonly version?: string;
  readonly rollout?: { readonly after?: string };
  readonly machineTemplate?: { readonly spec?: { readonly infrastructureRef?: { readonly name?: string } } };
  readonly kubeadmConfigSpec?: Readonly<Record<string, unknown>>;
}

function ofControlPlane(
  plane: Resource,
  one: Resource,
  world: ReadonlyMap<string, Resource>,
  now: number,
): string[] {
  const want = plane.spec as PlaneSpec;
  const have = one.spec as {
    version?: string;
    infrastructureRef?: { name?: string };
    bootstrap?: { configRef?: { name?: string } };
  };
  const infra = world.get(`${vsphereMachine.kind}/${have.infrastructureRef?.name ?? ""}`);
  const config = world.get(`${kubeadmConfig.kind}/${have.bootstrap?.configRef?.name ?? ""}`);
  const template = want.machineTemplate?.spec?.infrastructureRef?.name;
  const from = infra?.metadata.annotations?.[clonedFrom];
  const reasons = [
    ...(have.version && want.version && have.version !== want.version
      ? [`version ${have.version}, ${want.version} is wanted`]
      : []),
    ...(from && template && from !== template ? [`template ${from}, ${template} is wanted`] : []),
    ...(config && want.kubeadmConfigSpec ? configDifference(config, want.kubeadmConfigSpec) : []),
    ...(isDue(want.rollout?.after, one, now) ? ["rollout.after has passed"] : []),
  ];
  return reasons.map((why) => `${machine.kind}/${one.metadata.name}: ${why}`);
}

function configDifference(config: Resource, want: Readonly<Record<string, unknown>>): string[] {
  const have = (config.spec ?? {}) as Record<string, unknown>;
  return copiedParts
    .filter((part) => want[part] !== undefined && canonicalJson(have[part]) !== canonicalJson(want[part]))
    .map((part) => `bootstrap configuration differs in ${part}`);
}

function ofDeployment(deployment: Resource, members: readonly Member[], now: number): string[] {
  const want = deployment.spec as { rollout?: { after?: string }; template?: { spec?: TemplateSpec } };
  const sets = members
    .filter((m) => m.kind === machineSet)
    .map((m) => m.object)
    .filter((set) =>
      set.metadata.ownerReferences?.some(
        (ref) => ref.kind === machineDeployment.kind && ref.name === deployment.metadata.name,
      ),
    )
    .filter((set) => (set.spec as { replicas?: number }).replicas !== 0);
  return sets.flatMap((set) => {
    const have = (set.spec as { template?: { spec?: TemplateSpec } }).template?.spec;
    const reasons = [
      ...(have && want.template?.spec ? templateDifference(have, want.template.spec) : []),
      ...(isDue(want.rollout?.after, set, now) ? ["rollout.after has passed"] : []),
    ];
    return reasons.map((why) => `${machineSet.kind}/${set.metadata.name}: ${why}`);
  });
}

interface TemplateSpec {
  readonly version?: string;
  readonly infrastructureRef?: { readonly name?: string };
  readonly bootstrap?: { readonly configRef?: { readonly name?: string } };
}

function templateDifference(have: TemplateSpec, want: TemplateSpec): string[] {
  return [
    ...(have.version !== want.version
      ? [`version ${have.version ?? "none"}, ${want.version ?? "none"} is wanted`]
      : []),
    ...(have.infrastructureRef?.name !== want.infrastructureRef?.name
      ? ["another infrastructure template is wanted"]
      : []),
    ...(have.bootstrap?.configRef?.name !== want.bootstrap?.configRef?.name
      ? ["another bootstrap template is wanted"]
      : []),
  ];
}

/** Whether a rollout asked for by time is still to come for this object: the time has passed, and it is older. */
function isDue(after: string | undefined, { metadata }: Resource, now: number): boolean {
  if (after === undefined) return false;
  const at = Date.parse(after);
  return at <= now && Date.parse(metadata.creationTimestamp) < at;
}

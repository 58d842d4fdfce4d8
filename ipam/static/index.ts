// Static addresses for CAPV machines and cluster endpoints, by the labels of the static-IP controller.
import {
  isDeleting,
  keyOf,
  keyText,
  parseKey,
  steps,
  type Clock,
  type Controller,
  type Follow,
  type Key,
  type Kind,
  type Logger,
  type ResourceStore,
} from "#core";
import {
  cluster,
  globalInClusterIPPool,
  inClusterIPPool,
  ipAddressClaim,
  metal3IPClaim,
  metal3IPPool,
  vsphereMachineTemplate,
  vsphereVM,
  type VSphereCluster,
  type VSphereMachine,
} from "#proto";
import { act } from "./act.ts";
import {
  isStatic,
  observe,
  subjectKinds,
  subjectOf,
  type StaticSeen,
  type SubjectKind,
  type VmWitness,
} from "./observe.ts";
import { planStatic, type StaticAction } from "./plan.ts";

export type { VmPresence, VmWitness } from "./observe.ts";

export interface StaticDeps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** Who knows whether a VM is gone; where nobody is told, CAPV's VSphereVM objects are the evidence. */
  readonly witness?: VmWitness;
  /** Which kinds of pools and claims the store has; all unless told. */
  readonly serves?: (kind: Kind) => boolean;
}

/** The pools that static addresses come from. */
export const poolsForStatic: readonly Kind[] = [
  metal3IPPool as Kind,
  inClusterIPPool as Kind,
  globalInClusterIPPool as Kind,
];

/** One controller for machines, one for cluster endpoints. */
export function staticControllers(deps: StaticDeps): Controller[] {
  const witness = deps.witness ?? objectsAsWitness(deps.store);
  return (["machine", "endpoint"] as const).map((kind) => staticController({ ...deps, witness }, kind));
}

function staticController(deps: StaticDeps & { readonly witness: VmWitness }, kind: SubjectKind): Controller {
  const { store, clock } = deps;
  const name = kind === "machine" ? "static-addresses" : "static-endpoints";
  /** Who lacks something that a pool, a template or a cluster could bring, by their cluster. */
  const lacking = new Map<string, string | undefined>();
  const note = (seen: StaticSeen, actions: readonly StaticAction[]): void => {
    const isServed = actions.some((action) => action.do === "write addresses");
    if (isOpen(seen) && !isServed) lacking.set(keyText(seen.key), seen.clusterName);
    else lacking.delete(keyText(seen.key));
  };
  const all = (): Key[] => [...lacking.keys()].map(parseKey);
  const { serves = () => true } = deps;
  const whenPools: readonly Follow[] = poolsForStatic
    .filter(serves)
    .map((pool) => ({ kind: pool, affects: all }));
  const ofClaims: readonly Follow[] = [metal3IPClaim as Kind, ipAddressClaim as Kind]
    .filter(serves)
    .map((claim) => ({
      kind: claim,
      affects: (object) => {
        const key = subjectOf(kind, object);
        return key ? [key] : [];
      },
    }));
  return {
    name,
    kind: subjectKinds[kind],
    follows: [
      ...ofClaims,
      ...whenPools,
      {
        kind: cluster as Kind,
        affects: (object) => all().filter((key) => lacking.get(keyText(key)) === object.metadata.name),
      },
      ...(kind === "machine"
        ? [
            { kind: vsphereMachineTemplate as Kind, affects: all },
            { kind: vsphereVM as Kind, affects: (object) => [keyOf(object)] } satisfies Follow,
          ]
        : []),
    ],
    reconciler: steps<StaticSeen, StaticAction>(
      {
        observe: (key, signal) => observe(deps, kind, key, signal),
        plan: (seen) => {
          const plan = planStatic(seen);
          note(seen, plan.actions);
          return plan;
        },
        act: (seen, action) => act({ store, clock }, seen, action),
        report: async () => {}, // the objects are CAPV's: what is to be said, events say
      },
      { clock, log: deps.log.child({ controller: name }), describe },
    ),
  };
}

function describe(action: StaticAction) {
  switch (action.do) {
    case "make claim":
      return { claim: action.need.claimName, pool: action.from.pool.pointer.name };
    case "write addresses":
      return { addresses: action.served.map(({ supply }) => supply.address) };
    case "say":
      return { reason: action.reason, said: action.message };
    default:
      return { claim: keyText(action.claim.key) };
  }
}

/** Whether an address is missing that we might give: also one that nobody asks for yet, since labels may come late. */
function isOpen({ kind, subject }: StaticSeen): boolean {
  if (!subject || isDeleting(subject)) return false;
  if (kind === "endpoint") return !(subject as VSphereCluster).spec.controlPlaneEndpoint?.host;
  return (subject as VSphereMachine).spec.network.devices.some(isStatic);
}

/** CAPV destroys the VM before its VSphereVM object goes. */
export function objectsAsWitness(store: ResourceStore): VmWitness {
  return {
    async presence({ name, namespace }, signal) {
      const found = await store.get(vsphereVM, { ...(namespace ? { namespace } : {}), name }, signal);
      return found ? "there" : "gone";
    },
  };
}

// Room for the cluster autoscaler: what MachineDeployments may grow to is set aside in the pools of their machines, and given back.
import {
  keyText,
  parseKey,
  steps,
  type Clock,
  type Controller,
  type Follow,
  type Key,
  type Kind,
  type Logger,
  type Means,
  type Resource,
  type ResourceStore,
} from "#core";
import {
  cluster,
  clusterNameLabel,
  ipAddress,
  machineDeployment,
  metal3IPPool,
  vsphereMachine,
  vsphereMachineTemplate,
  vsphereVM,
  type MachineDeployment,
} from "#proto";
import { grownClusters } from "../policy.ts";
import { WriteBudget } from "../pool/write-budget.ts";
import { poolKinds, type Pool } from "../words.ts";
import { act } from "./act.ts";
import { observe, type Copies, type Memory } from "./observe.ts";
import { movingMs, planGrowth, type GrowthAction, type GrowthSeen } from "./plan.ts";

export interface GrowthDeps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** Which kinds the store has; all unless told. */
  readonly kinds?: readonly Kind[];
  /** Which pools are served; all unless told. */
  readonly serves?: (pool: Pool) => boolean;
  /** Clusters of this namespace alone; of all unless told. */
  readonly namespace?: string;
}

/** Without these nothing can be known of what grows. */
export const growthKinds = [
  machineDeployment,
  vsphereMachine,
  vsphereMachineTemplate,
  vsphereVM,
] as unknown as readonly Kind[];

interface Round {
  readonly key: Key;
  readonly memory: Remembered;
  readonly seen: GrowthSeen;
}

interface Remembered extends Memory {
  /** Whether anything of it may grow, or is kept: who else comes and goes does not matter otherwise. */
  grows: boolean;
  /** Rounds of a cluster that grows: a crowd of new machines shares one. */
  readonly budget: WriteBudget;
  /** What was said last; said again when it was over meanwhile. */
  said: ReadonlySet<string>;
}

/** One controller, for the clusters. The store must have `growthKinds`. */
export function growthController(deps: GrowthDeps): Controller {
  const { store, clock, namespace, serves = () => true } = deps;
  const has = ({ group, kind }: Kind) =>
    deps.kinds?.some((each) => each.group === group && each.kind === kind) ?? true;
  const kinds = poolKinds.filter((kind) => has(kind as unknown as Kind));
  const metal3 = has(metal3IPPool as unknown as Kind);
  const memories = new Map<string, Remembered>();
  let copies: Copies | undefined;

  const remembered = (key: Key): Remembered => {
    const text = keyText(key);
    const fresh = () => ({
      wasThere: false,
      firstMissedAt: undefined,
      bearers: new Map<string, string>(),
      grows: false,
      budget: new WriteBudget(),
      said: new Set<string>(),
    });
    const memory = memories.get(text) ?? fresh();
    memories.set(text, memory);
    return memory;
  };
  const growing = (key: Key): Key[] => (memories.get(keyText(key))?.grows ? [key] : []);
  const near = (text: string): Key[] => {
    const key = parseKey(text);
    return namespace === undefined || key.namespace === namespace ? [key] : [];
  };

  const inner = steps<Round, GrowthAction>(
    {
      async observe(key, signal) {
        if (!copies) return undefined;
        const memory = remembered(key);
        const seen = await observe({ store, clock, copies, serves }, key, memory, movingMs, signal);
        memory.grows = seen.groups.length > 0 || seen.pools.length > 0;
        return { key, memory, seen };
      },
      plan({ memory, seen }) {
        const plan = planGrowth(seen);
        const sayings = plan.actions.filter((action) => action.do === "say");
        const { said } = memory;
        memory.said = new Set(sayings.map(sayingText));
        return {
          ...plan,
          actions: plan.actions.filter((action) => action.do !== "say" || !said.has(sayingText(action))),
        };
      },
      act: ({ key }, action) => act(deps, key, action),
      async report({ memory }, _plan, failure) {
        if (failure !== undefined) memory.said = new Set(); // perhaps it was not said
      },
    },
    { clock, log: deps.log.child({ controller: "ipam-growth" }), describe },
  );

  return {
    name: "ipam-growth",
    kind: cluster as unknown as Kind,
    follows: follows({
      kinds,
      metal3,
      growing,
      near,
      all: () => [...memories.keys()].map(parseKey).flatMap(growing),
    }),
    begin(means) {
      copies = copiesOf(means, kinds, metal3);
    },
    reconciler: {
      async reconcile(key, signal) {
        const memory = remembered(key);
        const restMs = memory.grows ? memory.budget.restMs(clock.now()) : 0;
        if (restMs > 0) return { after: restMs };
        if (memory.grows) memory.budget.spend(clock.now());
        const result = await inner.reconcile(key, signal);
        if (!memory.grows && memory.firstMissedAt !== undefined) memories.delete(keyText(key));
        return result;
      },
    },
  };
}

function copiesOf(means: Means, kinds: readonly Kind<Pool>[], metal3: boolean): Copies {
  return {
    deployments: means.cache(machineDeployment),
    templates: means.cache(vsphereMachineTemplate),
    machines: means.cache(vsphereMachine),
    vms: means.cache(vsphereVM),
    addresses: means.cache(ipAddress),
    pools: new Map(kinds.map((kind) => [kind, means.cache(kind)] as const)),
    metal3Pools: metal3 ? means.cache(metal3IPPool) : undefined,
  };
}

interface Concerned {
  readonly kinds: readonly Kind<Pool>[];
  readonly metal3: boolean;
  /** The cluster, if it grows. */
  growing(key: Key): Key[];
  /** The cluster of this name, if it is ours to look after. */
  near(text: string): Key[];
  /** All that grow. */
  all(): Key[];
}

function follows({ kinds, metal3, growing, near, all }: Concerned): Follow[] {
  const clusterOf = ({ metadata: { namespace = "default", labels } }: Resource): Key[] => {
    const name = labels?.[clusterNameLabel];
    return name === undefined ? [] : growing({ namespace, name });
  };
  const shapes = new Map<string, string>();
  return [
    {
      kind: machineDeployment as unknown as Kind,
      affects(object) {
        const { metadata, spec } = object as MachineDeployment;
        return near(keyText({ namespace: metadata.namespace ?? "default", name: spec.clusterName }));
      },
    },
    ...([ipAddress, vsphereMachine, vsphereVM] as unknown as Kind[]).map((kind) => ({
      kind,
      affects: clusterOf,
    })),
    // Templates seldom change, and bear no cluster's name.
    { kind: vsphereMachineTemplate as unknown as Kind, affects: all },
    ...[...kinds, ...(metal3 ? [metal3IPPool] : [])].map((kind) => ({
      kind: kind as unknown as Kind,
      affects(object: Resource) {
        const { uid, generation, annotations, labels, deletionTimestamp } = object.metadata;
        const shape = JSON.stringify([uid, generation, annotations, labels, deletionTimestamp]);
        const id = `${kind.kind} ${keyText(object.metadata)}`;
        if (shapes.get(id) === shape) return []; // counters
        shapes.set(id, shape);
        return [...all(), ...grownClusters(object as Pool).flatMap(near)];
      },
    })),
  ];
}

function sayingText(action: GrowthAction): string {
  return action.do === "say" ? `${action.deployment.metadata.uid} ${action.reason}` : "";
}

function describe(action: GrowthAction) {
  switch (action.do) {
    case "set aside":
      return { pool: keyText(action.place.key), count: action.count };
    case "give back":
      return { pool: keyText(action.place.key) };
    case "say":
      return { deployment: action.deployment.metadata.name, reason: action.reason, said: action.message };
  }
}

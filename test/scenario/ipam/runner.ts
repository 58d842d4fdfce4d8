// Runs the YAML scenarios of this folder on any store: the same file on memory, on SQLite and on a real kube-apiserver.
//
// A scenario is a title and steps, in a namespace of its own; "$ns" in any text stands for it. Objects are there, unless they say otherwise.
//   apply    objects, by kind, name and what else there is to say
//   claims   names of claims to make, and the pool that they are on
//   expect   objects that come to look so; a subset: null means absent, lists match whole, "~text" is a pattern, gone: true its end
//   equal    objects that come to look so and say nothing else, but for what a server keeps book of (uids, times, revisions)
//   never    objects that do not come to look so, for a while
//   patch    a change (RFC 7396) of an object        delete   objects        count   how many of a kind there are, in the end
//   unprotect an object whose finalizers somebody tears off               restart the controllers      wait    milliseconds
//
// It may be played several times:
//   rows     once for each, with "$word" standing for what the row says of the word, an object or a text
//   scopes   both: once on pools of the namespace, once on cluster-scoped ones. $Pool and $PrefixPool are their kinds, $pool the name
import { readdirSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { isFault, keyText, type Key, type Kind, type Resource, type ResourceStore } from "#core";
import { modify } from "#core/store/helpers.ts";
import { mergePatch } from "#core/store/serve/patch.ts";
import {
  cluster,
  globalInClusterIPPool,
  globalInClusterPrefixPool,
  inClusterIPPool,
  inClusterPrefixPool,
  ipAddress,
  ipAddressClaim,
  ipamGroup,
  metal3IPAddress,
  metal3IPClaim,
  metal3IPPool,
  namespace as namespaceKind,
  vsphereCluster,
  vsphereMachine,
  vsphereMachineTemplate,
} from "#proto";

/** Kinds by the words that scenarios use; Metal3's IPAddress has a name of its own. */
export const scenarioKinds: Readonly<Record<string, Kind>> = {
  Namespace: namespaceKind as Kind,
  Cluster: cluster as Kind,
  InClusterIPPool: inClusterIPPool as Kind,
  GlobalInClusterIPPool: globalInClusterIPPool as Kind,
  InClusterPrefixPool: inClusterPrefixPool as Kind,
  GlobalInClusterPrefixPool: globalInClusterPrefixPool as Kind,
  IPAddressClaim: ipAddressClaim as Kind,
  IPAddress: ipAddress as Kind,
  IPPool: metal3IPPool as Kind,
  IPClaim: metal3IPClaim as Kind,
  Metal3IPAddress: metal3IPAddress as Kind,
  VSphereCluster: vsphereCluster as Kind,
  VSphereMachine: vsphereMachine as Kind,
  VSphereMachineTemplate: vsphereMachineTemplate as Kind,
};

const named = z.looseObject({ kind: z.string(), name: z.string() });
const objects = z.array(named);
const step = z.union([
  z.strictObject({ apply: objects }),
  z.strictObject({
    claims: z.strictObject({ names: z.array(z.string()), on: named, in: z.string().optional() }),
  }),
  z.strictObject({ expect: objects }),
  z.strictObject({ equal: objects }),
  z.strictObject({ never: objects }),
  z.strictObject({ patch: named.extend({ with: z.unknown() }) }),
  z.strictObject({ delete: objects }),
  z.strictObject({ unprotect: named }),
  z.strictObject({ count: z.strictObject({ kind: z.string(), is: z.int() }) }),
  z.strictObject({ restart: z.literal(true) }),
  z.strictObject({ wait: z.int() }),
]);
const scenarioSchema = z.strictObject({ title: z.string(), steps: z.array(step).min(1) });
export type Scenario = z.output<typeof scenarioSchema>;

type Words = Readonly<Record<string, unknown>>;
const written = z.looseObject({
  scopes: z.literal("both").optional(),
  rows: z.array(z.record(z.string(), z.unknown())).min(1).optional(),
});
type Named = z.output<typeof named>;
type Step = z.output<typeof step>;

/** All scenarios of the folder, by "file: title". Throws for one that cannot be understood. */
export function readScenarios(): [string, Scenario][] {
  const folder = new URL(".", import.meta.url);
  return readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .sort()
    .flatMap((file) => {
      const text: unknown = parse(readFileSync(new URL(file, folder), "utf8"));
      return z
        .array(z.unknown())
        .parse(text)
        .flatMap(variants)
        .map((scenario): [string, Scenario] => [`${file.replace(".yaml", "")}: ${scenario.title}`, scenario]);
    });
}

const scopes: readonly { readonly suffix: string; readonly words: Words }[] = [
  {
    suffix: ", namespaced",
    words: { Pool: inClusterIPPool.kind, PrefixPool: inClusterPrefixPool.kind, pool: "p" },
  },
  {
    suffix: ", global",
    words: { Pool: globalInClusterIPPool.kind, PrefixPool: globalInClusterPrefixPool.kind, pool: "$ns" },
  },
];

/** What is played of a scenario as written: one for each of its rows and scopes. Pure; throws for what cannot be understood. */
export function variants(text: unknown): readonly Scenario[] {
  const { rows = [{}], scopes: both, ...rest } = written.parse(text);
  const places = both ? scopes : [{ suffix: "", words: {} }];
  return rows.flatMap((row) =>
    places.map(({ suffix, words }) => {
      const { title, steps } = scenarioSchema.parse(filled(filled(rest, row), words));
      return { title: title + suffix, steps };
    }),
  );
}

/** With each "$word" replaced by what stands for it. Words that nothing stands for stay. Pure. */
function filled(value: unknown, words: Words): unknown {
  if (typeof value === "string") {
    const whole = value.slice(1);
    if (value.startsWith("$") && whole in words) return words[whole];
    return value.replace(/\$(\w+)/g, (text, word: string) => (word in words ? String(words[word]) : text));
  }
  if (Array.isArray(value)) return value.map((each) => filled(each, words));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, filled(each, words)]));
}

/** Where scenarios are played. */
export interface ScenarioWorld {
  readonly store: ResourceStore;
  /** Lets this much time pass, with all that happens in it. */
  pass(ms: number): Promise<void>;
  /** Ends the controllers and starts them anew. */
  restart(): Promise<void>;
  /** How long what is expected may take, and how long what must not happen is watched for. */
  readonly patienceMs: number;
  readonly watchMs: number;
}

/** Plays one; throws with the step and what there was instead. */
export async function play({ steps }: Scenario, world: ScenarioWorld, namespace: string): Promise<void> {
  for (const [index, each] of steps.entries()) {
    const told = JSON.parse(JSON.stringify(each).replaceAll("$ns", namespace)) as Step;
    try {
      await act(told, world, namespace);
    } catch (error) {
      const what = Object.keys(each)[0];
      throw new Error(`step ${index + 1} (${what}): ${(error as Error).message}`, { cause: error });
    }
  }
}

async function act(told: Step, world: ScenarioWorld, namespace: string): Promise<void> {
  const { store } = world;
  if ("apply" in told) for (const object of told.apply) await apply(store, object, namespace);
  else if ("claims" in told) for (const claim of claimsOf(told.claims)) await apply(store, claim, namespace);
  else if ("expect" in told) await comeTo(world, told.expect, namespace, atLeast);
  else if ("equal" in told) await comeTo(world, told.equal, namespace, exactly);
  else if ("never" in told) await never(world, told.never, namespace);
  else if ("patch" in told) {
    const { kind, key } = placeOf(told.patch, namespace);
    await modify(store, kind, key, (object) => mergePatch(object, told.patch.with) as Resource);
  } else if ("delete" in told)
    for (const object of told.delete) {
      const { kind, key } = placeOf(object, namespace);
      await store.delete(kind, key);
    }
  else if ("unprotect" in told) {
    const { kind, key } = placeOf(told.unprotect, namespace);
    await modify(store, kind, key, (object) => void delete object.metadata.finalizers).catch(
      (error: unknown) => {
        if (!isFault(error, "NotFound")) throw error;
      },
    );
  } else if ("count" in told) {
    const { kind, is } = told.count;
    const count = async () => {
      const { items } = await store.list(kindOf(kind), { namespace });
      return items.length === is
        ? undefined
        : `there are ${items.length}, not ${is}: ${items.map((item) => item.metadata.name).join(", ")}`;
    };
    await until(world, count, (difference) => `${kind}: ${difference}`);
  } else if ("restart" in told) await world.restart();
  else await world.pass(told.wait);
}

/** The claims of a step, as objects. Pure. */
function claimsOf({ names, on, in: place }: Extract<Step, { claims: unknown }>["claims"]): Named[] {
  const poolRef = { apiGroup: ipamGroup, kind: on.kind, name: on.name };
  return names.map((name) => ({
    kind: ipAddressClaim.kind,
    name,
    ...(place === undefined ? {} : { namespace: place }),
    spec: { poolRef },
  }));
}

async function comeTo(
  world: ScenarioWorld,
  list: readonly Named[],
  namespace: string,
  compare: Compare,
): Promise<void> {
  for (const object of list)
    await until(
      world,
      () => differenceOf(world.store, object, namespace, compare),
      (difference) => `${object.kind} ${object.name}: ${difference}`,
    );
}

async function apply(store: ResourceStore, object: Named, namespace: string): Promise<void> {
  const {
    kind: _k,
    name: _n,
    namespace: _ns,
    metadata,
    labels,
    annotations,
    finalizers,
    ownerReferences,
    status: _s,
    ...rest
  } = object as Named & Record<string, object>;
  const { kind, key } = placeOf(object, namespace);
  await store.create(kind, {
    ...rest,
    metadata: {
      ...metadata,
      ...key,
      ...(labels ? { labels } : {}),
      ...(annotations ? { annotations } : {}),
      ...(finalizers ? { finalizers } : {}),
      ...(ownerReferences ? { ownerReferences } : {}),
    },
  } as never);
}

async function until(
  world: ScenarioWorld,
  difference: () => Promise<string | undefined>,
  say: (difference: string) => string,
): Promise<void> {
  const everyMs = Math.min(50, world.patienceMs);
  for (let waitedMs = 0; ; waitedMs += everyMs) {
    const now = await difference();
    if (now === undefined) return;
    if (waitedMs >= world.patienceMs) throw new Error(say(now));
    await world.pass(everyMs);
  }
}

async function never(world: ScenarioWorld, list: readonly Named[], namespace: string): Promise<void> {
  const everyMs = Math.max(20, world.watchMs / 10);
  for (let waitedMs = 0; waitedMs <= world.watchMs; waitedMs += everyMs) {
    for (const object of list)
      if ((await differenceOf(world.store, object, namespace, atLeast)) === undefined)
        throw new Error(`${object.kind} ${object.name} came to look like ${JSON.stringify(object)}`);
    await world.pass(everyMs);
  }
}

/** What differs between an object that is there and what is wanted; undefined: nothing. Pure. */
type Compare = (found: Resource, wanted: object) => string | undefined;

const atLeast: Compare = (found, wanted) => difference(found, wanted, "");

/** Where what is said is all that there is to say. */
const exactly: Compare = (found, wanted) =>
  atLeast(found, wanted) ?? surplus(withoutBookkeeping(found), wanted, "");

async function differenceOf(
  store: ResourceStore,
  said: Named,
  namespace: string,
  compare: Compare,
): Promise<string | undefined> {
  const { kind, key } = placeOf(said, namespace);
  const found = await store.get(kind, key);
  if (said["gone"]) return found ? `${keyText(key)} is there still` : undefined;
  return found ? compare(found, wantedOf(said)) : "there is none";
}

/** What is said of an object, in the form that objects have. Pure. */
function wantedOf(said: Named): object {
  const {
    kind: _k,
    name: _n,
    namespace: _ns,
    gone: _g,
    labels,
    annotations,
    finalizers,
    ownerReferences,
    metadata,
    ...rest
  } = said as Named & Record<string, unknown>;
  const meta = { ...(metadata as object), labels, annotations, finalizers, ownerReferences };
  return {
    ...rest,
    metadata: Object.fromEntries(Object.entries(meta).filter(([, value]) => value !== undefined)),
  };
}

/** What people and controllers say by an object. Pure. */
function withoutBookkeeping({ apiVersion: _a, kind: _k, metadata, ...rest }: Resource): object {
  const {
    name: _n,
    namespace: _ns,
    uid: _u,
    resourceVersion: _r,
    creationTimestamp: _c,
    generation: _g,
    managedFields: _m,
    ...meta
  } = metadata;
  const owners = meta.ownerReferences?.map(({ uid: _, ...owner }) => owner);
  return { ...rest, metadata: { ...meta, ...(owners ? { ownerReferences: owners } : {}) } };
}

/** The first place where `wanted` is not a subset of `found`. Pure. */
export function difference(found: unknown, wanted: unknown, path: string): string | undefined {
  const at = path || "it";
  if (wanted === null)
    return found === undefined || found === null
      ? undefined
      : `${at} is ${JSON.stringify(found)}, should be absent`;
  if (typeof wanted === "string" && wanted.startsWith("~"))
    return found !== undefined && found !== null && new RegExp(wanted.slice(1)).test(String(found))
      ? undefined
      : `${at} is ${JSON.stringify(found)}, should fit ${wanted.slice(1)}`;
  if (Array.isArray(wanted)) {
    if (!Array.isArray(found) || found.length !== wanted.length)
      return `${at} is ${JSON.stringify(found)}, should have ${wanted.length} entries: ${JSON.stringify(wanted)}`;
    return firstOf(wanted.map((each, index) => difference(found[index], each, `${path}[${index}]`)));
  }
  if (typeof wanted === "object") {
    if (typeof found !== "object" || found === null)
      return `${at} is ${JSON.stringify(found)}, should be ${JSON.stringify(wanted)}`;
    return firstOf(
      Object.entries(wanted as object).map(([name, each]) =>
        difference((found as Record<string, unknown>)[name], each, path ? `${path}.${name}` : name),
      ),
    );
  }
  return found === wanted
    ? undefined
    : `${at} is ${JSON.stringify(found)}, should be ${JSON.stringify(wanted)}`;
}

/** The first place where `found` says something of which `wanted` says nothing. Pure. */
export function surplus(found: unknown, wanted: unknown, path: string): string | undefined {
  if (typeof found !== "object" || found === null || typeof wanted !== "object" || wanted === null)
    return undefined;
  return firstOf(
    Object.entries(found).map(([name, each]) => {
      const at = path ? `${path}.${name}` : name;
      if (each === undefined) return undefined;
      return name in wanted
        ? surplus(each, (wanted as Record<string, unknown>)[name], at)
        : `${at} is ${JSON.stringify(each)}, should be absent`;
    }),
  );
}

function firstOf(list: readonly (string | undefined)[]): string | undefined {
  return list.find((each) => each !== undefined);
}

function placeOf(said: Named, namespace: string): { readonly kind: Kind; readonly key: Key } {
  const kind = kindOf(said.kind);
  const place = typeof said["namespace"] === "string" ? said["namespace"] : namespace;
  return { kind, key: kind.namespaced ? { namespace: place, name: said.name } : { name: said.name } };
}

function kindOf(word: string): Kind {
  const kind = scenarioKinds[word];
  if (!kind)
    throw new Error(`scenarios know no kind ${word}; they know ${Object.keys(scenarioKinds).join(", ")}`);
  return kind;
}

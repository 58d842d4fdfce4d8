// pcg cluster pivot, pcg cluster revive: where the hand-over of a cluster stands, and a person's word to it. The word is an annotation
// on the cluster's SPA, so kubectl can say it as well.
import { Fault, isFault, type OwnedStore } from "#core";
import { modify } from "#core/store/helpers.ts";
import { spa, type Spa } from "#proto";
import { commandAnnotation, commandOf, isBeforeDecision, isSettled, stepText, type PivotCommand } from "#jet";
import { show, table, type Format } from "../output.ts";
import type { World } from "../world.ts";
import { openGateway } from "./connect.ts";

export interface PivotOptions {
  readonly context: string;
  readonly output?: Format;
}

export async function pivotStatus(world: World, name: string, options: PivotOptions): Promise<void> {
  await onGateway(world, options, async (store) => {
    const object = await clusterNamed(store, name);
    show(world.output, options.output ?? "table", object.status?.pivot ?? {}, () => pivotText(object));
  });
}

export async function pivotRollBack(world: World, name: string, options: PivotOptions): Promise<void> {
  await onGateway(world, options, async (store) =>
    world.output.line(await sayToPivot(store, await clusterNamed(store, name), "rollback")),
  );
}

export async function pivotResume(
  world: World,
  name: string,
  options: PivotOptions & { readonly sourceLost?: boolean },
): Promise<void> {
  const word = options.sourceLost ? "resume-without-source" : "resume";
  await onGateway(world, options, async (store) =>
    world.output.line(await sayToPivot(store, await clusterNamed(store, name), word)),
  );
}

/** Has a cluster that lost its own objects get them back from its mirror. */
export async function revive(world: World, name: string, options: PivotOptions): Promise<void> {
  await onGateway(world, options, async (store) =>
    world.output.line(await sayToPivot(store, await clusterNamed(store, name), "revive")),
  );
}

async function onGateway(
  world: World,
  options: PivotOptions,
  work: (store: OwnedStore) => Promise<void>,
): Promise<void> {
  const store = await openGateway(world, options.context);
  try {
    await work(store);
  } catch (error) {
    throw whereJournalLies(error);
  } finally {
    await store.close();
  }
}

/** A gateway's API that does not answer, told to somebody who asks for a hand-over: its journal lies there. Anything else stays. Pure. */
export function whereJournalLies(error: unknown): unknown {
  if (!isFault(error, "Unavailable", "TimedOut")) return error;
  const message =
    `the gateway's own API does not answer (${error.message}). The journal of a hand-over lies there: one that is under way waits, ` +
    "and goes on by itself when that API is back. Start the gateway, or bring its management cluster back; pcg doctor tells what is wrong";
  return new Fault(error.code, message, { cause: error });
}

/** The SPA of a cluster, by the cluster's name or uid. NotFound, with the names there are. */
export async function clusterNamed(store: OwnedStore, nameOrUid: string): Promise<Spa> {
  const { items } = await store.list(spa);
  const found = items.filter(({ spec }) => spec.clusterUid === nameOrUid || spec.clusterName === nameOrUid);
  const [one] = found;
  if (one && found.length === 1) return one;
  const names = (found.length > 1 ? found : items).map(
    ({ spec }) => `${spec.clusterName} (${spec.clusterUid})`,
  );
  throw new Fault(
    "NotFound",
    found.length > 1
      ? `several clusters are called ${nameOrUid}, give the uid: ${names.join(", ")}`
      : `the gateway has no cluster ${nameOrUid}; ${names.length > 0 ? `there are: ${names.join(", ")}` : "there is none at all"}`,
  );
}

/** Says a word to the pivot of a cluster; returns what comes of it, in words. Invalid where it would come to nothing. */
export async function sayToPivot(store: OwnedStore, object: Spa, word: PivotCommand): Promise<string> {
  const refusal = refusals[word](object);
  if (refusal) throw new Fault("Invalid", refusal);
  const { name, namespace = "" } = object.metadata;
  await modify(store, spa, { namespace, name }, (have) => {
    have.metadata.annotations = { ...have.metadata.annotations, [commandAnnotation]: word };
  });
  return outcomes[word](object.spec.clusterName);
}

const goesOn = (cluster: string) =>
  `the hand-over of ${cluster} goes on; follow it with: pcg cluster pivot status ${cluster}`;

const outcomes: Readonly<Record<PivotCommand, (cluster: string) => string>> = {
  rollback: (cluster) =>
    `the hand-over of ${cluster} is taken back, and none begins until: pcg cluster pivot resume ${cluster}`,
  resume: goesOn,
  "resume-without-source": goesOn,
  revive: (cluster) =>
    `cluster ${cluster} gets its objects back from its mirror if it has lost them; follow it with: pcg events ${cluster}`,
};

const refusals: Readonly<Record<PivotCommand, (object: Spa) => string | undefined>> = {
  rollback: tooLate,
  resume: (object) => nothingToResume(object, "resume"),
  "resume-without-source": (object) => nothingToResume(object, "resume-without-source"),
  revive: nothingToRevive,
};

function nothingToRevive({ metadata, spec, status }: Spa): string | undefined {
  const name = spec.clusterName;
  if (metadata.deletionTimestamp || spec.action === "Delete") return `cluster ${name} is being deleted`;
  const { direction, step } = status?.pivot ?? {};
  return direction === "ToWorkload" && step === "Done"
    ? undefined
    : `cluster ${name} does not manage itself: its objects are not lost, see: pcg cluster pivot status ${name}`;
}

function tooLate({ spec, status }: Spa): string | undefined {
  const journal = status?.pivot;
  if (!journal || journal.step === "RolledBack" || journal.step === "RollBack" || isBeforeDecision(journal))
    return undefined;
  return journal.step === "Done"
    ? `cluster ${spec.clusterName} has been handed over; what is done cannot be taken back`
    : `the hand-over of ${spec.clusterName} was decided at ${journal.committedAt ?? journal.stepStartedAt} and can only go forward`;
}

function nothingToResume(object: Spa, word: PivotCommand): string | undefined {
  const { spec, status } = object;
  const journal = status?.pivot;
  if (commandOf(object) === "rollback" && word === "resume") return undefined;
  if (isSettled(journal)) return `no hand-over of ${spec.clusterName} is under way`;
  if (word === "resume-without-source" && journal && isBeforeDecision(journal))
    return `the hand-over of ${spec.clusterName} is not decided yet: take it back with pcg cluster pivot rollback ${spec.clusterName}`;
  return undefined;
}

/** Where it stands, for a person. Pure. */
export function pivotText(object: Spa): string {
  const { spec, status } = object;
  const journal = status?.pivot;
  const said = commandOf(object);
  if (!journal) return `no hand-over of ${spec.clusterName} has begun${said ? ` (held by: ${said})` : ""}`;
  const { census } = journal;
  const wait = waitOf(object);
  const facts: (readonly [string, string | undefined])[] = [
    ["cluster", `${spec.clusterName} (${spec.clusterUid})`],
    ["stands at", stepText(journal)],
    ["since", journal.stepStartedAt],
    ["waits for", wait],
    [
      "can be taken back",
      isSettled(journal) ? undefined : isBeforeDecision(journal) ? "yes" : "no, it is decided",
    ],
    ["pivot", `${journal.id}, epoch ${journal.epoch}`],
    ["objects", journal.objects && `${journal.objects.done} of ${journal.objects.total}`],
    [
      "snapshot",
      journal.snapshotDigest && `${journal.snapshotDigest.slice(0, 16)}… (the ${journal.round ?? 1}. taken)`,
    ],
    [
      "census",
      census &&
        `${census.machines.count} machines, ${census.vms.count} VMs, ${census.addresses.count} addresses`,
    ],
    ["owners left behind", journal.dropped?.join(", ")],
    ["decided", journal.committedAt],
    [
      "old side",
      journal.sourceLost ? "given up" : journal.sourceFenced ? "has no credential any more" : undefined,
    ],
    ["watch", journal.tripped],
    ["a person said", said],
  ];
  return table(
    ["", ""],
    facts.flatMap(([name, value]) => (value ? [[name, value]] : [])),
  ).replace(/^\s*\n/, "");
}

/** Why it does not move: the condition of its milestone says it, with a name and what to do. */
function waitOf({ status }: Spa): string | undefined {
  if (isSettled(status?.pivot)) return undefined;
  const types = ["PivotCompleted", "DeletionBlocked"];
  const found = status?.conditions?.find(
    (c) =>
      types.includes(c.type) && c.message !== "" && (c.type === "DeletionBlocked") === (c.status === "True"),
  );
  return found && `${found.reason}: ${found.message}`;
}

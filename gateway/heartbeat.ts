// The pulse: at fixed times the gateway looks at itself, tells the plane, and writes its Gateway object for `pcg status`.
import {
  formatTime,
  linkAbort,
  setCondition,
  sleep,
  type Clock,
  type ControllerHealth,
  type Logger,
  type ResourceStore,
} from "#core";
import { applyObject } from "#core/store/helpers.ts";
import { gateway, globalInClusterIPPool, inClusterIPPool, type Gateway, type Heartbeat } from "#proto";
import type { LinkState } from "#tunnel";

export interface PulseDeps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly facts: () => Promise<PulseFacts>;
  readonly send: (heartbeat: Heartbeat) => Promise<void>;
  /** Calls back when a beat is wanted out of turn: the line has changed. Returns the way to stop. */
  readonly onChange: (listener: () => void) => () => void;
}

/** What the gateway sees of itself. */
export interface PulseFacts {
  readonly version: string;
  readonly startedAt: string;
  readonly controlPlaneMode: string;
  /** The supervised programs, mode embedded. */
  readonly programs?: NonNullable<Gateway["status"]>["programs"];
  readonly identity?: {
    readonly uid: string;
    readonly tenantUid: string;
    readonly certificateExpires?: string;
  };
  readonly link?: { readonly state: LinkState; readonly backlog: number };
  readonly vcenter: NonNullable<Heartbeat["vcenter"]>;
  readonly controllers: readonly ControllerHealth[];
  readonly memoryMiB: number;
}

/** Changes of a moment make one beat. */
const gatherMs = 250;

/**
 * Beats at once, every `everyMs`, and shortly after each change, until the signal aborts. A beat that fails is logged and the next one
 * comes all the same.
 */
export async function keepPulse(deps: PulseDeps, everyMs: number, signal: AbortSignal): Promise<void> {
  const { clock, log } = deps;
  let turn = linkAbort(signal);
  let changed = false;
  const stop = deps.onChange(() => {
    changed = true;
    turn.abort();
  });
  while (!signal.aborted) {
    changed = false;
    try {
      await beat(deps);
    } catch (error) {
      if (!signal.aborted) log.warn("a heartbeat could not be made", { error });
    }
    turn = linkAbort(signal);
    if (!changed) await sleep(clock, everyMs, turn.signal).catch(() => {});
    turn.unlink();
    if (changed) await sleep(clock, gatherMs, signal).catch(() => {});
  }
  stop();
}

async function beat({ store, clock, facts, send }: PulseDeps): Promise<void> {
  const seen = await facts();
  const at = formatTime(clock.now());
  await send({ at, version: seen.version, vcenter: seen.vcenter, pools: await poolsOf(store) });
  const have = await applyObject(store, gateway, { metadata: { name: "gateway" }, spec: {} });
  await store.updateStatus(gateway, { ...have, status: statusOf(seen, have.status, at) });
}

/** The Gateway's status. Pure. */
export function statusOf(
  seen: PulseFacts,
  before: Gateway["status"],
  at: string,
): NonNullable<Gateway["status"]> {
  const { version, startedAt, controlPlaneMode, programs, identity, link, vcenter, controllers, memoryMiB } =
    seen;
  const failing = controllers.flatMap((c) => c.failing.map((f) => `${c.name} ${f.key}`));
  let conditions = setCondition(
    before?.conditions,
    identity
      ? { type: "Paired", status: "True", reason: "Paired", message: `as gateway ${identity.uid}` }
      : { type: "Paired", status: "False", reason: "NotPaired", message: "pair it: pcg gateway pair CODE" },
    at,
  );
  conditions = setCondition(conditions, linkCondition(link?.state), at);
  conditions = setCondition(
    conditions,
    vcenter.reachable
      ? { type: "VCenterReachable", status: "True", reason: "LoggedIn", message: "" }
      : { type: "VCenterReachable", status: "False", reason: "LoginFailed", message: vcenter.message ?? "" },
    at,
  );
  if (programs) conditions = setCondition(conditions, programsCondition(programs), at);
  return {
    version,
    startedAt,
    controlPlaneMode,
    ...(programs ? { programs } : {}),
    ...(identity ? { identity } : {}),
    ...(link ? { link: linkStatus(link) } : {}),
    vcenter,
    controllers: controllers.map(({ name, synced, rounds, failing: keys }) => ({
      name,
      synced,
      rounds,
      ...(keys.length > 0
        ? { failing: keys.map(({ key, failures, message }) => ({ key, failures, message })) }
        : {}),
    })),
    memoryMiB,
    conditions: setCondition(
      conditions,
      failing.length === 0
        ? { type: "Working", status: "True", reason: "AllRoundsWell", message: "" }
        : {
            type: "Working",
            status: "False",
            reason: "RoundsFail",
            message: `in trouble: ${failing.slice(0, 5).join(", ")}`,
          },
      at,
    ),
  };
}

function programsCondition(programs: NonNullable<PulseFacts["programs"]>) {
  const lame = programs.filter((program) => program.state !== "ready");
  const type = "ControlPlaneReady";
  return lame.length === 0
    ? ({ type, status: "True", reason: "AllProgramsReady", message: "" } as const)
    : ({
        type,
        status: "False",
        reason: "ProgramsNotReady",
        message: lame.map(({ name, state, message }) => `${name}: ${message ?? state}`).join("; "),
      } as const);
}

function linkCondition(state: LinkState | undefined) {
  if (state?.kind === "connected") {
    return {
      type: "Connected",
      status: "True",
      reason: "Connected",
      message: `over ${state.transport}`,
    } as const;
  }
  const message = !state
    ? ""
    : "lastError" in state
      ? (state.lastError ?? "")
      : "reason" in state
        ? state.reason
        : "";
  return {
    type: "Connected",
    status: "False",
    reason: state ? capital(state.kind) : "NoLink",
    message,
  } as const;
}

function linkStatus({ state, backlog }: NonNullable<PulseFacts["link"]>) {
  switch (state.kind) {
    case "connected":
      return { state: state.kind, since: formatTime(state.since), transport: state.transport, backlog };
    case "connecting":
    case "waiting":
      return { state: state.kind, ...(state.lastError ? { message: state.lastError } : {}), backlog };
    case "refused":
      return { state: state.kind, message: state.reason, backlog };
    case "closed":
      return { state: state.kind, backlog };
  }
}

const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);

/** All pools with their room, for the plane. */
export async function poolsOf(store: ResourceStore): Promise<NonNullable<Heartbeat["pools"]>> {
  const pools = [
    ...(await store.list(inClusterIPPool)).items,
    ...(await store.list(globalInClusterIPPool)).items,
  ];
  return pools
    .filter((pool) => !pool.metadata.namespace?.startsWith("cluster-")) // child pools are the clusters' own affair
    .map(({ metadata, status }) => ({
      name: metadata.name,
      ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
      free: Number(status?.ipAddresses?.free ?? 0),
      used: Number(status?.ipAddresses?.used ?? 0),
    }));
}

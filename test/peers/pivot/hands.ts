// Hands that disturb a move in one of its steps, and what came of it. The gateway is stopped while a hand is at work, so that it finds
// the very step; the managers of both sides are not.
import { sleep, systemClock } from "#core";
import { agentDeploymentName } from "#proto/render/names.ts";
import { pcg } from "../../scenario/children.ts";
import { until } from "../../scenario/until.ts";
import type { PivotStep } from "../../../jet/pivot/journal.ts";
import type { Cut, Line } from "../harness/line.ts";
import { endings } from "../../../cli/site.ts";
import { startMovingSite, type MovingSite, type MovingSiteOptions } from "./moving-site.ts";
import { bothHoldCredential, followMoves, wakeRogue, type Moves, type Way } from "./moves.ts";
import { harm, leftBehind, takeCensus, watchForMore, type Census } from "./unharmed.ts";

export interface Hand {
  readonly what: string;
  readonly way: Way;
  readonly step: PivotStep;
  /** Called with a stopped gateway, and leaves one that goes on. Answers with what it has to tell. */
  does(site: MovingSite, moves: Moves): Promise<Readonly<Record<string, unknown>> | void>;
}

export interface HandResult {
  readonly what: string;
  readonly way: Way;
  readonly step: PivotStep;
  /** Where the gateway stood when it was stopped. */
  readonly stoodAt: PivotStep;
  /** From the gateway's going on, or its death, to the end of the move, milliseconds. */
  readonly ms: number;
  readonly wrong: readonly string[];
  readonly told?: Readonly<Record<string, unknown>>;
}

const patienceMs = 300_000;
/** How long managers get to take up what a rogue told them. */
const rogueMs = 15_000;

const sideOf = (way: Way, end: "source" | "target") =>
  (way === "ToWorkload") === (end === "source") ? "gateway" : "workload";

function lineOf(site: MovingSite, way: Way, end: "source" | "target"): Line {
  const line = sideOf(way, end) === "workload" ? site.workloadLine() : site.gatewayLine;
  if (!line) throw new Error("no line lies before the gateway's API here");
  return line;
}

/** Somebody who does not know wakes the Cluster of a side. */
export function rogue(way: Way, step: PivotStep, end: "source" | "target"): Hand {
  return {
    what: `un-pause of the ${end}`,
    way,
    step,
    async does(site, moves) {
      const awake = await wakeRogue(site, sideOf(way, end), rogueMs);
      moves.goOn();
      return { awake };
    },
  };
}

/** The API of a side does not answer for so long. */
export function cutFor(way: Way, step: PivotStep, end: "source" | "target", ms: number, how: Cut): Hand {
  return {
    what: `${end} ${how} for ${ms / 1000} s`,
    way,
    step,
    async does(site, moves) {
      const line = lineOf(site, way, end);
      line.cut(how);
      moves.goOn();
      await sleep(systemClock, ms);
      line.mend();
    },
  };
}

/** The API of a side does not answer until `pcg cluster pivot status` says so, with what to do. */
export function cutUntilTold(way: Way, step: PivotStep, end: "source" | "target", how: Cut): Hand {
  return {
    what: `${end} ${how} for ever`,
    way,
    step,
    async does(site, moves) {
      const line = lineOf(site, way, end);
      line.cut(how);
      moves.setArmed(false); // it may go on as far as it does without that side
      moves.goOn();
      let said = "";
      await until(
        "pcg says what it waits for",
        async () => waits.test((said = await statusSaid(site))),
        120_000,
      ).catch((error: Error) => {
        throw new Error(`${error.message}; it said ${said}`);
      });
      moves.setArmed(true);
      line.mend();
      return { said: waits.exec(said)?.[0] };
    },
  };
}

const waits = /^(waits for +\w*Unreachable.*|.*not reachable.*|.*does not answer.*)$/m;

/** What a person reads who asks where the hand-over stands. */
async function statusSaid(site: MovingSite): Promise<string> {
  const env = { PCG_CONTEXT: site.contextPath };
  const { out, err } = await pcg(["cluster", "pivot", "status", site.clusterName], site.dir, env);
  return out + err;
}

/** The API server of a side dies, for its own managers too, and comes back. */
export function restartApi(way: Way, step: PivotStep, end: "source" | "target"): Hand {
  return {
    what: `${end}'s API server restarted`,
    way,
    step,
    async does(site, moves) {
      const restarted = site.restartApi(sideOf(way, end));
      moves.goOn();
      await restarted;
    },
  };
}

/** kill -9 of the gateway in this step, or so many milliseconds after it was let go on there. */
export function killGateway(way: Way, step: PivotStep, afterMs?: number): Hand {
  return {
    what: afterMs === undefined ? "kill -9 of the gateway" : `kill -9 of the gateway ${afterMs} ms on`,
    way,
    step,
    async does(_, moves) {
      if (afterMs !== undefined) {
        moves.goOn();
        await sleep(systemClock, afterMs);
      }
      await moves.killAndRestart();
    },
  };
}

/** kill -9 of the agent; what it is restarted by is not the gateway. */
export function killAgent(way: Way, step: PivotStep): Hand {
  return {
    what: "kill -9 of the agent",
    way,
    step,
    async does({ machines, endpoint }, moves) {
      const agent = machines.pods(endpoint).find(({ labels }) => labels["app"] === agentDeploymentName);
      await agent?.kill();
      moves.goOn();
      return { ran: agent !== undefined };
    },
  };
}

export interface Ring {
  readonly site: MovingSite;
  readonly moves: Moves;
  /** Before anything was disturbed. */
  readonly before: Census;
  readonly more: Awaited<ReturnType<typeof watchForMore>>;
}

/** One move with these hands, in the order of its steps; the cluster must be on the side where it begins. */
export async function move(ring: Ring, way: Way, hands: readonly Hand[]): Promise<HandResult[]> {
  const { site, moves, before, more } = ring;
  const begun: (Omit<HandResult, "ms"> & { readonly at: number })[] = [];
  const wrong: string[] = [];
  const look = async () => {
    if (await bothHoldCredential(site)) wrong.push("I1: both sides hold the credential");
  };
  // Before anything goes on, the next hand lies in wait.
  const arm = (hand: Hand | undefined) => hand && moves.stoppedIn(way, hand.step, patienceMs);
  let next = arm(hands[0]);
  if (way === "ToGateway") await moves.turnBack();
  else await moves.turnAgain();
  for (const [index, hand] of hands.entries()) {
    const stoodAt = (await next)!;
    await look();
    next = arm(hands[index + 1]);
    next?.catch(() => {}); // awaited in its turn
    const at = performance.now();
    const told = await hand.does(site, moves);
    const { what, step } = hand;
    begun.push({ what, way, step, stoodAt, at, wrong, ...(told ? { told } : {}) });
  }
  await moves.ended(way, patienceMs);
  const ended = performance.now();
  await look();
  wrong.push(
    ...harm(before, await takeCensus(site, sideOf(way, "target"))),
    ...(await leftBehind(site, way)),
    ...[...more.extra].map((name) => `there was one more: ${name}`),
  );
  return begun.map(({ at, ...result }) => ({ ...result, ms: Math.round(ended - at) }));
}

/** There and back, with these hands. */
export async function roundTrip(ring: Ring, hands: readonly Hand[]): Promise<HandResult[]> {
  const of = (way: Way) => hands.filter((hand) => hand.way === way);
  return [
    ...(await move(ring, "ToGateway", of("ToGateway"))),
    ...(await move(ring, "ToWorkload", of("ToWorkload"))),
  ];
}

/** A site, and all that is needed to move its cluster about. */
export async function openRing(options: MovingSiteOptions): Promise<Ring & { close(): Promise<void> }> {
  const ending = endings();
  try {
    const site = ending.own(await startMovingSite(options));
    const moves = ending.own(await followMoves(site));
    const before = await takeCensus(site, "workload");
    const more = ending.own(await watchForMore(site, before));
    return { site, moves, before, more, close: ending.close };
  } catch (error) {
    await ending.close();
    throw error;
  }
}

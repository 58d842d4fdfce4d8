// What the plane does without being asked, every quarter of a minute.
import { Fault, sleep, type Clock, type Logger } from "#core";
import type { Clusters } from "./clusters.ts";
import type { Enrolment } from "./enrolment.ts";
import type { HealthDesk } from "./health-desk.ts";
import type { HealthLimits } from "./health.ts";
import type { Messages } from "./messages.ts";

const watchEveryMs = 15_000;
const sweepEveryMs = 3_600_000;

export interface Watch {
  readonly clock: Clock;
  readonly log: Logger;
  readonly messages: Messages;
  readonly health: HealthDesk;
  readonly limits: HealthLimits;
  readonly enrolment: Enrolment;
  readonly clusters: Clusters;
}

/** Hands over what could not be sent, looks at health, throws away what is over; until aborted. Never rejects. */
export async function keepWatch(watch: Watch, signal: AbortSignal): Promise<void> {
  const { clock, log, messages, health, limits, enrolment, clusters } = watch;
  let sweepAt = clock.now();
  while (!signal.aborted) {
    try {
      await messages.flush();
      await health.check(limits);
      if (clock.now() >= sweepAt) {
        sweepAt = clock.now() + sweepEveryMs;
        await enrolment.sweep();
        await clusters.sweep();
      }
    } catch (error) {
      log.warn("a round of the plane's watch failed", { error: Fault.from(error) });
    }
    await sleep(clock, watchEveryMs, signal).catch(() => {});
  }
}

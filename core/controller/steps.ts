import type { Logger, Fields } from "../log.ts";
import { keyText, type Key } from "../resource/meta.ts";
import type { Clock } from "../time/clock.ts";
import type { Reconciler, Result, Steps } from "./reconciler.ts";

export interface StepsDeps<Action> {
  readonly clock: Clock;
  /** Gets one line per action done. Give it the controller's name with `child`. */
  readonly log: Logger;
  /** What to say of an action in its log line; only its name (`do`) unless told, since actions may carry secrets. */
  readonly describe?: (action: Action) => Fields;
}

/**
 * A reconciler from its four parts: observe, plan, act in order up to the first failure, then report, always and once.
 * What stopped the actions is thrown after the report, so that the runner decides what follows; a report that fails is
 * thrown only if nothing else was. `after` counts only when nothing failed. An object that is gone needs no round.
 */
export function steps<Seen, Action>(spec: Steps<Seen, Action>, deps: StepsDeps<Action>): Reconciler {
  return {
    async reconcile(key: Key, signal: AbortSignal): Promise<Result> {
      const seen = await spec.observe(key, signal);
      if (seen === undefined) return {};
      const plan = spec.plan(seen, deps.clock.now());
      let failure: unknown;
      try {
        for (const action of plan.actions) {
          signal.throwIfAborted();
          const startedAt = deps.clock.now();
          await spec.act(seen, action, signal);
          const described = deps.describe?.(action) ?? {};
          const tookMs = deps.clock.now() - startedAt;
          deps.log.info(nameOf(action), { key: keyText(key), ...described, tookMs });
        }
      } catch (error) {
        failure = error ?? new Error("an action failed without saying why");
      }
      try {
        await spec.report(seen, plan, failure, signal);
      } catch (error) {
        failure ??= error;
      }
      if (failure !== undefined) throw failure;
      return plan.after === undefined ? {} : { after: plan.after };
    },
  };
}

function nameOf(action: unknown): string {
  const name = (action as { do?: unknown } | null)?.do;
  return typeof name === "string" ? name : "acted";
}

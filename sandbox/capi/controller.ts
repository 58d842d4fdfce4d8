// How a round of a controller is put together here: slowness by knob, and the frame of every controller.
import { sleep, type Controller, type Follow, type Key, type Kind, type Resource, type Result } from "#core";
import type { CapiDeps } from "./context.ts";

export interface Round<R extends Resource> {
  readonly name: string;
  readonly kind: Kind<R>;
  readonly follows?: readonly Follow[];
  /** One look at one object that exists. */
  readonly round: (object: R, signal: AbortSignal) => Promise<Result>;
}

/** Upstream's managers work on ten objects at once and retry from 5 ms to 1000 s; a sandbox is more eager. */
export function controllerOf<R extends Resource>(deps: CapiDeps, spec: Round<R>): Controller {
  return {
    name: spec.name,
    kind: spec.kind,
    follows: spec.follows ?? [],
    concurrency: 10,
    backoff: { baseMs: 10, capMs: 5_000 },
    reconciler: {
      async reconcile(key: Key, signal: AbortSignal): Promise<Result> {
        if (deps.knobs.controllerMs > 0) await sleep(deps.clock, deps.knobs.controllerMs, signal);
        const object = await deps.store.get(spec.kind, key, signal);
        return object ? spec.round(object, signal) : {};
      },
    },
  };
}

export function follow<R extends Resource>(kind: Kind<R>, affects: Follow<R>["affects"]): Follow {
  return { kind, affects: affects as Follow["affects"] };
}

/** Comes again after `ms`. */
export function later(ms: number): Result {
  return { after: ms };
}

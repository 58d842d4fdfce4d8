// Worlds in real time for the scenarios: all address controllers over a store.
import {
  silentLogger,
  systemClock,
  type Clock,
  type Controller,
  type Logger,
  type ResourceStore,
} from "#core";
import { runControllers } from "#core/controller/runner.ts";
import { ipamControllers, metal3Controllers, staticControllers } from "#ipam";
import type { ScenarioWorld } from "./runner.ts";

export function allAddressControllers(deps: {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
}): Controller[] {
  return [...ipamControllers(deps), ...metal3Controllers(deps), ...staticControllers(deps)];
}

export type LiveWorld = ScenarioWorld & { close(): Promise<void> };

/** The controllers run until it is closed; scenarios may be played in it side by side. */
export async function liveWorld(
  store: ResourceStore,
  patience: Pick<ScenarioWorld, "patienceMs" | "watchMs">,
): Promise<LiveWorld> {
  const start = async () => {
    const stop = new AbortController();
    const deps = { store, clock: systemClock, log: silentLogger, random: Math.random };
    const running = runControllers(deps, allAddressControllers(deps), stop.signal);
    await running.ready;
    return async () => {
      stop.abort();
      await running.stopped;
    };
  };
  let end = await start();
  let restarting = Promise.resolve();
  return {
    ...patience,
    store,
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    restart: () =>
      (restarting = restarting.then(async () => {
        await end();
        end = await start();
      })),
    close: () => end(),
  };
}

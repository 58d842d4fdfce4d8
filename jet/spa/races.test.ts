// Somebody else was faster: no trouble to tell people, unless it goes on.
import { expect, it } from "vitest";
import { Fault, isFault } from "#core";
import { cluster } from "#proto";
import { wish, World } from "../testing/world.ts";

/** The gateway's store, where the Cluster's first writes lose so many races. */
function contested(store: World["gateway"], times: number): World["jetStore"] {
  let left = times;
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => {
        if (name === "create" && args[0] === cluster && left-- > 0)
          return Promise.reject(new Fault("Conflict", "Cluster c1 has changed"));
        return Reflect.apply(member, target, args);
      };
    },
  });
}

it.each([
  [3, false],
  [6, true],
])("%i in a row: told is %s; either way it goes on", async (times, told) => {
  const world = new World();
  world.jetStore = contested(world.gateway, times);
  await world.prepare();
  try {
    await world.want(wish());
    let [heard, lost] = [false, 0];
    for (let at = 0; at < 100 && (await world.gateway.list(cluster)).items.length === 0; at++) {
      await world.round().catch((error: unknown) => {
        if (!isFault(error, "Conflict")) throw error;
        lost++; // the runner comes again
      });
      await world.play();
      const conditions = (await world.spa())?.status?.conditions ?? [];
      heard ||= conditions.some(({ message }) => message.includes("has changed"));
    }
    expect((await world.gateway.list(cluster)).items).toHaveLength(1);
    expect([lost, heard]).toEqual([times, told]);
  } finally {
    await world.close();
  }
});

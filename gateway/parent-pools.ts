// What Jet asks before it begins a cluster: how much room its parent pools have.
import type { Clock, ResourceStore } from "#core";
import { openRoom, type IpamGauges } from "#ipam";
import type { Pools } from "#jet";

/**
 * `gauges` are those of the controllers that give out of these pools, in this process: they know what rests. A pool whose ranges cannot
 * be read has no room; its own condition says why.
 */
export function parentPools(store: ResourceStore, clock: Clock, gauges: IpamGauges): Pools {
  return {
    async room(ref) {
      const room = await openRoom(store, ref, { now: clock.now(), gauges });
      switch (room.kind) {
        case "room": {
          const { total, free, kept, resting, later } = room;
          return { total, free, kept, resting, later };
        }
        case "wrong":
          return { total: 0, free: 0 };
        case "missing":
          return undefined;
      }
    },
  };
}

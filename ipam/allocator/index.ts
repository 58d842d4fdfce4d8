// The door of the allocator: pure data structures, no store, no timers.
export {
  Allocator,
  strategies,
  type Answer,
  type Claimant,
  type Counts,
  type Shape,
  type Shortage,
  type Strategy,
} from "./allocator.ts";
export { blockOf, blocksWithin, blocksTouching, networkOf } from "./blocks.ts";
export { DueQueue } from "./due.ts";
export { FreeIndex } from "./free-index.ts";
export {
  find,
  includes,
  intersect,
  sizeOf,
  subtract,
  toSet,
  type Interval,
  type IntervalSet,
} from "./intervals.ts";
export { randomBelow } from "./chance.ts";
export { ReleaseOrder } from "./release-order.ts";

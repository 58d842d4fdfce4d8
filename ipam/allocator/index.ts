// The door of the allocator: pure data structures, no store, no timers.
export { Allocator, type Claimant, type Shape } from "./allocator.ts";
export type { Answer, Counts, Shortage } from "./answer.ts";
export { blockOf, blocksWithin, blocksTouching, networkOf } from "./blocks.ts";
export { DueQueue } from "./due.ts";
export { FreeIndex } from "./free-index.ts";
export { strategies, type Strategy } from "./free-values.ts";
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

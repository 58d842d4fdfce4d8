export { claimView, claimViews, type ClaimState, type ClaimView } from "./claims.ts";
export { editLines, overlapsOf, planEdit, type EditView } from "./edit.ts";
export { explainAddress, explainClaim, type Explanation, type Finding } from "./explain.ts";
export { daysToExhaustion, growthMs, addressMetrics, type MetricFacts } from "./metrics.ts";
export { poolView, poolViews, type PoolState, type PoolView } from "./pools.ts";
export {
  addressOfClaim,
  consumerOf,
  isSamePool,
  knownMetal3Pool,
  knownPool,
  pointerText,
  readInventory,
  type Inventory,
  type KnownAddress,
  type KnownClaim,
  type KnownPool,
  type PoolPointer,
} from "./read.ts";

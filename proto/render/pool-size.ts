// How many machines a worker pool has: as many as are asked for, or what the cluster's autoscaler made of it within its bounds. Pure.
import { maxSizeAnnotation, minSizeAnnotation } from "../kinds/common.ts";
import type { WorkerPool } from "../kinds/spa.ts";

type Sizes = Pick<WorkerPool, "size" | "minSize" | "maxSize">;

/** What there must be room for. */
export function largestSize({ size, maxSize = 0 }: Sizes): number {
  return Math.max(size, maxSize);
}

/** What the pool should have now, when it has so many. */
export function sizeNow({ size, minSize = 0, maxSize }: Sizes, have: number | undefined): number {
  return maxSize === undefined ? size : Math.min(maxSize, Math.max(minSize, have ?? size));
}

/** What tells the autoscaler its bounds; empty for a pool that is none of its. */
export function autoscalerAnnotations({ minSize, maxSize }: Sizes): Record<string, string> {
  return maxSize === undefined
    ? {}
    : { [minSizeAnnotation]: String(minSize ?? 0), [maxSizeAnnotation]: String(maxSize) };
}

/** Bounds that do not fit together, by the pool's field. */
export function sizeProblems({ size, minSize, maxSize }: Sizes): { field: keyof Sizes; message: string }[] {
  if (minSize === undefined && maxSize === undefined) return [];
  if (maxSize === undefined)
    return [{ field: "maxSize", message: "is missing; minSize alone says nothing to an autoscaler" }];
  if ((minSize ?? 0) > maxSize)
    return [{ field: "minSize", message: `${minSize} is more than maxSize, ${maxSize}` }];
  if (size < (minSize ?? 0) || size > maxSize)
    return [
      { field: "size", message: `${size} is not between minSize, ${minSize ?? 0}, and maxSize, ${maxSize}` },
    ];
  return [];
}

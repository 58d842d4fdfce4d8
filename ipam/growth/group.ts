// A MachineDeployment that an autoscaler may make larger: how many machines there may be of it at once. Pure.
import { maxSizeAnnotation, minSizeAnnotation, type MachineDeployment } from "#proto";

export type Growth =
  /** No autoscaler is meant. */
  | { readonly kind: "fixed" }
  /** `surge`: so many more while a change is rolled out. */
  | { readonly kind: "grows"; readonly max: number; readonly surge: number }
  | { readonly kind: "wrong"; readonly message: string };

export function growthOf({ metadata, spec }: MachineDeployment): Growth {
  const { [minSizeAnnotation]: low, [maxSizeAnnotation]: high } = metadata.annotations ?? {};
  if (low === undefined && high === undefined) return { kind: "fixed" };
  const min = wholeNumber(low);
  const max = wholeNumber(high);
  if (min === undefined || max === undefined || max < min) {
    const said = `${minSizeAnnotation} is ${shown(low)}, ${maxSizeAnnotation} is ${shown(high)}`;
    return {
      kind: "wrong",
      message: `${said}: both must be whole numbers, the second not below the first; no room is set aside`,
    };
  }
  return { kind: "grows", max, surge: surgeOf(spec, max) };
}

interface Rollout {
  readonly type?: string;
  readonly rollingUpdate?: { readonly maxSurge?: number | string };
}

/** Cluster API's rule: one unless told, a percentage rounded up. In v1beta1 the strategy lies directly below spec. */
function surgeOf(spec: MachineDeployment["spec"], max: number): number {
  const strategy = (spec.rollout?.strategy ?? spec["strategy"] ?? {}) as Rollout;
  if (strategy.type === "OnDelete") return 0;
  const surge = strategy.rollingUpdate?.maxSurge ?? 1;
  if (typeof surge === "number") return surge;
  const percent = /^\d{1,5}%$/.test(surge) ? parseInt(surge, 10) : undefined;
  return percent === undefined ? (wholeNumber(surge) ?? 1) : Math.ceil((percent * max) / 100);
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,6}$/.test(text.trim()) ? Number(text) : undefined;
}

function shown(text: string | undefined): string {
  return text === undefined ? "absent" : JSON.stringify(text);
}

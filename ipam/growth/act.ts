import { keyText, modify, type Clock, type Key, type ResourceStore } from "#core";
import { sayEvent } from "../events.ts";
import { growthAnnotation } from "../policy.ts";
import { setAsideIn } from "../set-aside.ts";
import type { PoolPlace } from "../words.ts";
import type { GrowthAction } from "./plan.ts";

export async function act(
  deps: { readonly store: ResourceStore; readonly clock: Clock },
  key: Key,
  action: GrowthAction,
): Promise<void> {
  const keep = ({ kind, key: pool }: PoolPlace, count: number) =>
    modify(deps.store, kind, pool, (object) => setAsideIn(object, growthAnnotation, keyText(key), count));
  switch (action.do) {
    case "set aside":
      await keep(action.place, action.count);
      return;
    case "give back":
      await keep(action.place, 0);
      return;
    case "say": {
      const { deployment: about, reason, message } = action;
      await sayEvent(deps, { about, type: "Warning", reason, message });
      return;
    }
  }
}

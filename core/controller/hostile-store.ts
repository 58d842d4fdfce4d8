// For tests: a store with bad manners in front of a real one. Import by path: #core/controller/hostile-store.ts.
import { Fault } from "../fault.ts";
import type { Resource } from "../resource/meta.ts";
import type { ResourceStore, WatchEvent } from "../store/store.ts";

export interface Manners {
  /** In [0, 1): which misfortune comes next. */
  readonly random: () => number;
  /** How often a call or an event meets a misfortune; set it to 0 and the store behaves. */
  rate: number;
}

/** Lists and watches that break, repeat themselves, end early or claim to have forgotten; writes go through untouched. */
export function hostileStore(store: ResourceStore, manners: Manners): ResourceStore {
  const { random } = manners;
  const misfortune = () => random() < manners.rate;
  const fault = (): Error => {
    const faults = [
      new Fault("Unavailable", "connection reset"),
      new Fault("Gone", "too old resource version"),
      new Fault("TimedOut", "no answer"),
      new Fault("Invalid", "resourceVersion: invalid value"),
      new TypeError("terminated"),
    ];
    return faults[Math.floor(random() * faults.length)] ?? new Error("unknown");
  };
  return {
    get: (kind, key, signal) => store.get(kind, key, signal),
    create: (kind, draft) => store.create(kind, draft),
    update: (kind, object) => store.update(kind, object),
    updateStatus: (kind, object) => store.updateStatus(kind, object),
    delete: (kind, key, options) => store.delete(kind, key, options),
    async list(kind, options, signal) {
      if (misfortune()) throw fault();
      const page = await store.list(kind, options, signal);
      if (misfortune()) throw fault();
      return page;
    },
    watch<R extends Resource>(...args: Parameters<typeof store.watch<R>>): AsyncIterable<WatchEvent<R>> {
      if (misfortune() && random() < 0.3) throw fault(); // at once, not at the first event
      return broken(store.watch(...args), misfortune, fault, random);
    },
  };
}

async function* broken<R extends Resource>(
  events: AsyncIterable<WatchEvent<R>>,
  misfortune: () => boolean,
  fault: () => Error,
  random: () => number,
): AsyncGenerator<WatchEvent<R>> {
  if (misfortune()) throw fault();
  let previous: WatchEvent<R> | undefined;
  for await (const event of events) {
    if (misfortune()) {
      const which = random();
      if (which < 0.3) throw fault(); // the event is lost on the way
      if (which < 0.5) return; // quietly over
      if (previous && which < 0.7) yield previous; // said twice
    }
    yield event;
    if (misfortune() && random() < 0.5) throw fault(); // the event arrived, then the line broke
    previous = event;
  }
}

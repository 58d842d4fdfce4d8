// A store that waits out the first moments of an API server: it says that it is ready before it serves every kind of a CRD ("storage is
// (re)initializing"), and what is decided at that moment must not be decided by a kind that does not answer yet.
import { isFault, sleep, type Clock, type OwnedStore, type ResourceStore } from "#core";

const patienceMs = 30_000;
const stepMs = 100;

/** A webhook that was taken off a moment ago is still asked for a moment more. */
function isPassing(error: unknown): boolean {
  return (
    isFault(error, "Busy", "Unavailable") ||
    (error instanceof Error && /failed calling webhook/.test(error.message))
  );
}

/** Calls that fail as Busy or Unavailable are made again, for half a minute each. Watches are not. */
export function patientStore(store: OwnedStore, clock: Clock, signal: AbortSignal): OwnedStore {
  async function patiently<T>(call: () => Promise<T>): Promise<T> {
    for (const deadline = clock.now() + patienceMs; ;) {
      try {
        return await call();
      } catch (error) {
        if (!isPassing(error) || clock.now() > deadline) throw error;
        await sleep(clock, stepMs, signal);
      }
    }
  }
  const patient: ResourceStore = {
    get: (kind, key, limit) => patiently(() => store.get(kind, key, limit)),
    list: (kind, options, limit) => patiently(() => store.list(kind, options, limit)),
    create: (kind, draft) => patiently(() => store.create(kind, draft)),
    update: (kind, object) => patiently(() => store.update(kind, object)),
    updateStatus: (kind, object) => patiently(() => store.updateStatus(kind, object)),
    delete: (kind, key, options) => patiently(() => store.delete(kind, key, options)),
    watch: (kind, options, limit) => store.watch(kind, options, limit),
  };
  return { ...patient, close: () => store.close() };
}

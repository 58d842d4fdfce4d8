// Heartbeat and controller write the same status: whoever comes second reads it again.
import { isFault, sameJson, type Key, type ResourceStore } from "#core";
import { spectroCluster, type SpectroCluster } from "#proto";

type Status = NonNullable<SpectroCluster["status"]>;

/** Writes status if it differs. Returns the object as it is then; undefined when it is gone. */
export async function modifyStatus(
  store: ResourceStore,
  key: Key,
  change: (object: SpectroCluster) => Status,
): Promise<SpectroCluster | undefined> {
  for (let tries = 0; ; tries++) {
    const object = await store.get(spectroCluster, key);
    if (!object) return undefined;
    const status = change(object);
    if (sameJson(object.status, status)) return object;
    try {
      return await store.updateStatus(spectroCluster, { ...object, status });
    } catch (error) {
      if (isFault(error, "NotFound")) return undefined;
      if (!isFault(error, "Conflict") || tries >= 9) throw error;
    }
  }
}

import { listAll, type ResourceStore } from "#core";
import { ipAddress, type IPAddress } from "#proto";
import { placeText, poolPlace, type PoolPlace } from "./words.ts";

/** All IPAddresses of a pool, read from the store itself. An address that is being deleted still counts: its object holds it. */
export async function addressesOf(
  store: ResourceStore,
  place: PoolPlace,
  signal?: AbortSignal,
): Promise<readonly IPAddress[]> {
  const { namespace } = place.key;
  const { items } = await listAll(store, ipAddress, namespace === undefined ? {} : { namespace }, signal);
  return ofPool(items, place);
}

/** Those that refer to the pool. Pure. */
export function ofPool(addresses: readonly IPAddress[], place: PoolPlace): readonly IPAddress[] {
  const text = placeText(place);
  return addresses.filter((address) => {
    const its = poolPlace(address);
    return its !== undefined && placeText(its) === text;
  });
}

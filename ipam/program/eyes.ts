// What the program sees of a vCenter that may be named later than it starts, and under another account from one moment to the next.
import { Fault, type Logger, type ResourceStore } from "#core";
import type { GuestAddress } from "../conflicts/index.ts";
import { objectsAsWitness, type VmWitness } from "../static/index.ts";

export interface VcenterSight {
  /** Undefined as long as no vCenter is named; rejects where that cannot be known. */
  eyes(): Promise<
    { readonly witness: VmWitness; guests(signal: AbortSignal): Promise<readonly GuestAddress[]> } | undefined
  >;
}

/** vCenter where one is named, else CAPV's objects. Where that cannot be known, nobody can say. */
export function witnessOf(
  vcenter: VcenterSight,
  { store, log }: { readonly store: ResourceStore; readonly log: Logger },
): VmWitness {
  const objects = objectsAsWitness(store);
  return {
    async presence(vm, signal) {
      try {
        const eyes = await vcenter.eyes();
        return await (eyes?.witness ?? objects).presence(vm, signal);
      } catch (error) {
        const fault = Fault.from(error);
        if (fault.code === "Cancelled") throw fault;
        log.warn("nobody can say whether a machine is gone; its address is kept", {
          vm: vm.name,
          error: fault,
        });
        return "unknown";
      }
    },
  };
}

export async function guestsOf(vcenter: VcenterSight, signal: AbortSignal): Promise<readonly GuestAddress[]> {
  return (await (await vcenter.eyes())?.guests(signal)) ?? [];
}

// What vCenter says of machines and their addresses, for ipam: is a VM gone before its address is given to another, and who uses what.
import { Fault, type Clock, type Logger } from "#core";
import type { GuestAddress, VmWitness } from "#ipam";
import { readAll, vsphereSessions, type VsphereClient } from "#vsphere";
import type { VcenterAccount } from "./account.ts";

const paths = ["name", "config.template", "guest.ipAddress", "guest.net"] as const;

/** Every VM with the addresses that its guest reports; templates are left out. */
export async function guestAddresses(client: VsphereClient, signal?: AbortSignal): Promise<GuestAddress[]> {
  const { rootFolder } = await client.session.content(signal);
  const found = await readAll(client.session, rootFolder, "VirtualMachine", paths, signal);
  return found
    .filter(({ values }) => !values["config.template"])
    .map(({ ref, values }) => {
      const cards = (values["guest.net"] ?? []).flatMap(({ ipAddress }) => ipAddress ?? []);
      const own = values["guest.ipAddress"];
      return { vm: values.name ?? ref.value, addresses: [...new Set([...(own ? [own] : []), ...cards])] };
    });
}

/** A witness over one vCenter. When vCenter does not answer nothing is known: addresses are kept. */
export function vcenterWitness(client: VsphereClient, log: Logger): VmWitness {
  return {
    async presence({ name, addresses }, signal) {
      try {
        const guests = await guestAddresses(client, signal);
        const isThere = guests.some(
          (guest) => guest.vm === name || guest.addresses.some((address) => addresses.includes(address)),
        );
        return isThere ? "there" : "gone";
      } catch (error) {
        const fault = Fault.from(error);
        if (fault.code === "Cancelled") throw fault;
        log.warn("vCenter cannot say whether a machine is gone; its address is kept", {
          vm: name,
          error: fault,
        });
        return "unknown";
      }
    },
  };
}

/** What ipam asks of a vCenter, for those who run it without a gateway. */
export interface VcenterEyes {
  readonly witness: VmWitness;
  guests(signal: AbortSignal): Promise<readonly GuestAddress[]>;
  /** Logs out. */
  close(): Promise<void>;
}

/** Logs in at the first question. Throws Invalid for a malformed server or thumbprint. */
export function openVcenterEyes(
  account: VcenterAccount,
  deps: { readonly clock: Clock; readonly log: Logger },
): VcenterEyes {
  const sessions = vsphereSessions(deps);
  const client = sessions.connect(account);
  return {
    witness: vcenterWitness(client, deps.log),
    guests: (signal) => guestAddresses(client, signal),
    close: () => sessions.close(),
  };
}

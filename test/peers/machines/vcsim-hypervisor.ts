// vcsim, seen by the machines in it: who is turned on, off or destroyed, by looking at all of them over and over; and what VMware Tools
// would report, by the settings that vcsim takes for it. With the administrator's account: this plays the hypervisor, not a client of it.
import { Fault, isFault, sleep, type Clock, type Logger } from "#core";
import type { Hypervisor, PoweredVm } from "#sandbox/workload/hypervisor.ts";
import { isCard, readAll, type Ref, type VsphereClient } from "#vsphere";

export interface VcsimHypervisorDeps {
  readonly client: VsphereClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Between two looks, milliseconds; 400 unless told. */
  readonly pollMs?: number;
}

/** A machine as it was found at a look. */
export interface SeenVm {
  /** Its reference: stays the same, is never used again. */
  readonly id: string;
  readonly vm: PoweredVm;
  readonly on: boolean;
}

export function vcsimHypervisor({ client, clock, log, pollMs = 400 }: VcsimHypervisorDeps): Hypervisor {
  const refs = new Map<string, Ref>();

  async function look(): Promise<SeenVm[]> {
    const { rootFolder } = await client.session.content();
    const found = await readAll(client.session, rootFolder, "VirtualMachine", paths);
    return found
      .filter(({ values }) => values["config.template"] !== true && values["config.uuid"])
      .map(({ ref, values }) => {
        const biosUuid = values["config.uuid"]?.toLowerCase() ?? "";
        refs.set(biosUuid, ref);
        const settings = values["config.extraConfig"] ?? [];
        const cards = (values["config.hardware.device"] ?? []).filter(isCard);
        const vm = {
          biosUuid,
          name: values.name ?? ref.value,
          extraConfig: Object.fromEntries(settings.map(({ key, value }) => [key, String(value)])),
          macs: cards.map((card) => card.macAddress?.toLowerCase() ?? ""),
        };
        return { id: ref.value, vm, on: values["runtime.powerState"] === "poweredOn" };
      });
  }

  return {
    onPower(listener) {
      const stop = new AbortController();
      const watch = async () => {
        for (let before: readonly SeenVm[] = []; ;) {
          try {
            const now = await look();
            if (stop.signal.aborted) return;
            for (const { vm, state } of powerChanges(before, now)) listener(vm, state);
            before = now;
          } catch (error) {
            if (stop.signal.aborted) return;
            log.warn("looking at vcsim's machines failed", { error: Fault.from(error) });
          }
          await sleep(clock, pollMs, stop.signal);
        }
      };
      watch().catch(() => {}); // it ends with the sleep that is aborted
      return () => stop.abort();
    },

    async setGuest(biosUuid, { hostName, addresses }) {
      const ref = refs.get(biosUuid);
      if (!ref) return;
      const [address] = [...addresses.values()].flat(); // vcsim knows one address, on the first card
      const extraConfig = {
        "SET.guest.hostName": hostName,
        ...(address ? { "SET.guest.ipAddress": address } : {}),
      };
      await client.vms.reconfigure(ref, { extraConfig }).catch((error: unknown) => {
        if (!isFault(error, "NotFound")) throw error;
      });
    },
  };
}

const paths = [
  "name",
  "config.uuid",
  "config.template",
  "config.extraConfig",
  "config.hardware.device",
  "runtime.powerState",
] as const;

/** What happened between two looks. One that was turned off and on again in between is not noticed. Pure. */
export function powerChanges(
  before: readonly SeenVm[],
  now: readonly SeenVm[],
): { readonly vm: PoweredVm; readonly state: "on" | "off" | "gone" }[] {
  const was = new Map(before.map((seen) => [seen.id, seen]));
  const is = new Map(now.map((seen) => [seen.id, seen]));
  const gone = before.filter(({ id }) => !is.has(id)).map(({ vm }) => ({ vm, state: "gone" as const }));
  const changed = now
    .filter(({ id, on }) => on !== (was.get(id)?.on ?? false))
    .map(({ vm, on }) => ({ vm, state: on ? ("on" as const) : ("off" as const) }));
  return [...gone, ...changed];
}

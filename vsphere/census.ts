// Which machines there really are: for finding what a deletion left behind, and what a restart need not make again.
import { isFault } from "#core";
import { readAll, readObjects } from "./collector.ts";
import type { VsphereClient } from "./client.ts";
import type { Property, Ref } from "./soap/types.ts";
import type { PowerState } from "./vms.ts";

export interface CensusQuery {
  /** Name or path. */
  readonly datacenter: string;
  /** Name or path of a folder in it. The whole datacenter is searched when absent, and also when there is no such folder (renamed). */
  readonly folder?: string | undefined;
  /** Only machines whose name begins so. */
  readonly namePrefix?: string | undefined;
  /** Only machines with one of these BIOS UUIDs, whatever their name. */
  readonly biosUuids?: readonly string[] | undefined;
}

export interface CensusEntry {
  readonly ref: Ref;
  readonly name: string;
  /** Lower case. Undefined while it is being cloned. */
  readonly biosUuid: string | undefined;
  readonly instanceUuid: string | undefined;
  readonly power: PowerState;
  readonly ipAddress: string | undefined;
  /** Name of the host it runs on. */
  readonly host: string | undefined;
  /** Keys of guestinfo.* settings; never their values, which hold bootstrap secrets. */
  readonly guestinfoKeys: readonly string[];
}

/**
 * The machines that fit all given filters, by name. Templates are left out. Rejects with NotFound when the datacenter cannot be
 * seen: "nothing found" is only said of a place that was searched.
 */
export async function census(
  client: VsphereClient,
  query: CensusQuery,
  signal?: AbortSignal,
): Promise<readonly CensusEntry[]> {
  const container = await containerOf(client, query, signal);
  const { session } = client;
  const paths = [
    "name",
    "config.template",
    "config.uuid",
    "config.instanceUuid",
    "runtime.powerState",
    "runtime.host",
    "guest.ipAddress",
  ] as const;
  const uuids = query.biosUuids && new Set(query.biosUuids.map((uuid) => uuid.toLowerCase()));
  const wanted = (await readAll(session, container, "VirtualMachine", paths, signal)).filter(({ values }) => {
    if (values["config.template"]) return false;
    if (query.namePrefix !== undefined && !values.name?.startsWith(query.namePrefix)) return false;
    return !uuids || uuids.has(values["config.uuid"]?.toLowerCase() ?? "");
  });
  // Settings are heavy (they hold user data), so they are read only of those who stay.
  const [settings, hosts] = await Promise.all([
    readObjects(
      session,
      "VirtualMachine",
      wanted.map(({ ref }) => ref),
      ["config.extraConfig"],
      signal,
    ),
    readObjects(
      session,
      "HostSystem",
      distinct(wanted.map(({ values }) => values["runtime.host"])),
      ["name"],
      signal,
    ),
  ]);
  const keys = new Map(
    settings.map(({ ref, values }) => [ref.value, guestinfoKeys(values["config.extraConfig"])]),
  );
  const hostNames = new Map(hosts.map(({ ref, values }) => [ref.value, values.name]));
  return wanted
    .map(({ ref, values }) => ({
      ref,
      name: values.name ?? ref.value,
      biosUuid: values["config.uuid"]?.toLowerCase(),
      instanceUuid: values["config.instanceUuid"]?.toLowerCase(),
      power: values["runtime.powerState"] ?? "poweredOff",
      ipAddress: values["guest.ipAddress"] || undefined,
      host: hostNames.get(values["runtime.host"]?.value ?? ""),
      guestinfoKeys: keys.get(ref.value) ?? [],
    }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

async function containerOf(
  { inventory }: VsphereClient,
  { datacenter: name, folder }: CensusQuery,
  signal: AbortSignal | undefined,
): Promise<Ref> {
  const datacenter = await inventory.find("datacenter", name, {}, signal);
  if (folder === undefined) return datacenter.ref;
  const found = await inventory
    .find("folder", folder, { datacenter: datacenter.name }, signal)
    .catch(noSuchFolder);
  return found?.ref ?? datacenter.ref;
}

function noSuchFolder(error: unknown): undefined {
  if (!isFault(error, "NotFound", "Invalid")) throw error;
}

function guestinfoKeys(settings: Property<"VirtualMachine", "config.extraConfig"> | undefined): string[] {
  return (settings ?? []).map(({ key }) => key).filter((key) => key.startsWith("guestinfo."));
}

function distinct(refs: readonly (Ref | undefined)[]): Ref[] {
  return [...new Map(refs.flatMap((ref) => (ref ? [[ref.value, ref] as const] : []))).values()];
}

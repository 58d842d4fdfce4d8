// The VmService of the controllers over our vim25 client: one shared session per credential, names resolved as govmomi's finder does.
import { isFault, Secret, type Clock, type Logger } from "#core";
import { vsphereSessions, type Ref, type VsphereClient } from "#vsphere";
import { cardsOf } from "#vsphere/cards.ts";
import { readObject, readObjects } from "#vsphere/collector.ts";
import type { CloneRequest, VcenterLogin, Vm, VmService } from "./vm-service.ts";

export interface Vcenters {
  readonly login: VcenterLogin;
  /** Logs every session out. */
  close(): Promise<void>;
}

export function vcenters(deps: { readonly clock: Clock; readonly log: Logger }): Vcenters {
  const sessions = vsphereSessions(deps);
  const held = new Map<string, Held>();
  return {
    async login({ username, password }, server, thumbprint, signal) {
      const key = JSON.stringify([server, thumbprint, username, password]);
      let known = held.get(key);
      if (!known) {
        const client = sessions.connect({ server, username, password: new Secret(password), thumbprint });
        const { version } = await client.about(signal);
        known = { client, service: vmService(client, version), checkedAt: -Infinity };
        held.set(key, known);
      }
      if (deps.clock.now() - known.checkedAt > checkMs) {
        await known.client.checkLogin(signal);
        known.checkedAt = deps.clock.now();
      }
      return known.service;
    },
    async close() {
      for (const { client } of held.values()) await client.close().catch(() => {});
      await sessions.close();
    },
  };
}

/** CAPV asks each round whether its session still stands; so often is enough here, since every other call tells as well. */
const checkMs = 1_000;

interface Held {
  readonly client: VsphereClient;
  readonly service: VmService;
  checkedAt: number;
}

const vmPaths = [
  "name",
  "config.uuid",
  "config.instanceUuid",
  "config.extraConfig",
  "config.hardware.device",
  "runtime.powerState",
  "runtime.host",
  "guest.net",
  "network",
] as const;

function vmService(client: VsphereClient, version: string): VmService {
  const { vms, inventory, session } = client;
  const names = new Map<string, string>();

  /** Names of things that are seldom renamed: read once. */
  async function namesOf(type: "HostSystem" | "Network", refs: readonly Ref[], signal: AbortSignal) {
    const unknown = refs.filter((ref) => !names.has(ref.value));
    for (const { ref, values } of await readObjects(session, type, unknown, ["name"], signal))
      if (values.name) names.set(ref.value, values.name);
    return refs.map((ref) => {
      const name = names.get(ref.value);
      return { ref, values: name === undefined ? {} : { name } };
    });
  }

  /** One read for everything: a controller looks at a VM many times. */
  async function vmAt(ref: Ref | undefined, signal: AbortSignal): Promise<Vm | undefined> {
    const values = ref && (await readObject(session, "VirtualMachine", ref, vmPaths, signal));
    if (!values) return undefined; // it went while we looked
    const networks = await namesOf("Network", values.network ?? [], signal);
    const host = values["runtime.host"] && (await namesOf("HostSystem", [values["runtime.host"]], signal))[0];
    return {
      ref: ref.value,
      name: values.name ?? "",
      biosUuid: values["config.uuid"]?.toLowerCase() ?? "",
      instanceUuid: values["config.instanceUuid"]?.toLowerCase() ?? "",
      powerState: values["runtime.powerState"] ?? "poweredOff",
      ...(host?.values.name ? { host: host.values.name } : {}),
      nics: cardsOf(values["config.hardware.device"] ?? [], values["guest.net"] ?? [], networks),
      extraConfig: Object.fromEntries(
        (values["config.extraConfig"] ?? []).map(({ key, value }) => [key, String(value)]),
      ),
    };
  }

  const refOf = (value: string): Ref => ({ type: "VirtualMachine", value });

  async function clone(request: CloneRequest, signal: AbortSignal) {
    const scope = { datacenter: request.datacenter };
    const find = async (kind: "template" | "folder" | "pool" | "datastore" | "network", name: string) =>
      (await inventory.find(kind, name, scope, signal)).ref;
    const source = await templateOf(request.template, scope, signal);
    const datastore = request.datastore ? await find("datastore", request.datastore) : undefined;
    const networks = await Promise.all(
      request.networks.map(async ({ name, mac }) => ({
        network: await find("network", name),
        ...(mac ? { mac } : {}),
      })),
    );
    const snapshot = request.linked
      ? (await readObject(session, "VirtualMachine", source, ["snapshot.currentSnapshot"], signal))?.[
          "snapshot.currentSnapshot"
        ]
      : undefined;
    const ref = await vms.clone(
      {
        name: request.name,
        source,
        folder: await find("folder", request.folder ?? "vm"),
        pool: await find("pool", request.resourcePool ?? "Resources"),
        ...(datastore ? { datastore } : {}),
        mode: snapshot ? "linked" : "full",
        numCPUs: request.numCPUs,
        memoryMB: request.memoryMiB,
        ...(request.diskGiB ? { diskGiB: request.diskGiB } : {}),
        networks,
        instanceUuid: request.instanceUuid,
        extraConfig: request.extraConfig,
      },
      { signal },
    );
    return { ref: ref.value, ...(snapshot ? { snapshot: snapshot.value } : {}) };
  }

  /** A template, or a plain machine: CAPV clones from either. */
  async function templateOf(
    name: string,
    scope: { readonly datacenter: string | undefined },
    signal: AbortSignal,
  ): Promise<Ref> {
    try {
      return (await inventory.find("template", name, scope, signal)).ref;
    } catch (error) {
      if (!isFault(error, "NotFound")) throw error;
      const found = await inventory.find("vm", name, scope, signal).catch(() => undefined);
      if (!found) throw error;
      return found.ref;
    }
  }

  return {
    version,
    check: (signal) => client.checkLogin(signal),
    findByBiosUuid: async (uuid, signal) => vmAt(await vms.findByBiosUuid(uuid, signal), signal),
    findByInstanceUuid: async (uuid, signal) => vmAt(await vms.findByInstanceUuid(uuid, signal), signal),
    async findByPath({ datacenter, folder = "vm", name }, signal) {
      const snapshot = await inventory.snapshot(signal);
      const pick = snapshot.pick("folder", folder, { datacenter });
      if (pick.kind !== "found") return undefined;
      return vmAt(await vms.findByInventoryPath(`${pick.entry.path}/${name}`, signal), signal);
    },
    clone,
    reconfigureExtraConfig: (ref, values, signal) =>
      vms.reconfigure(refOf(ref), { extraConfig: values }, { signal }),
    powerOn: (ref, signal) => vms.powerOn(refOf(ref), { signal }),
    powerOff: (ref, signal) => vms.powerOff(refOf(ref), { signal }),
    destroy: (ref, signal) => vms.destroy(refOf(ref), { signal }),
  };
}

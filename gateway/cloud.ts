// What Jet needs of a datacenter, said with our vSphere client.
import { isIP } from "node:net";
import { connect } from "node:tls";
import { Fault, onAbort } from "#core";
import type { CensusScope, Cloud, CloudFor, VmFacts } from "#jet";
import type { Placement } from "#proto";
import {
  census,
  judgePlacement,
  parseServer,
  type CensusEntry,
  type InventorySnapshot,
  type VsphereClient,
  type VsphereSessions,
} from "#vsphere";

const connectMs = 10_000;
/** Palette's folder for node templates. */
const templateFolder = "spectro-templates";

/** Clouds over shared sessions: clusters of one account share one login. */
export function vsphereClouds(sessions: VsphereSessions): CloudFor {
  return (cloud, { username, password }) => {
    const { server, thumbprint, caCert: ca } = cloud;
    /** Borrows the session for one call: it lingers, so the next call finds it open. */
    async function withClient<T>(use: (client: VsphereClient) => Promise<T>): Promise<T> {
      const client = sessions.connect({ server, username, password, thumbprint, ca });
      try {
        return await use(client);
      } finally {
        await client.close();
      }
    }
    return {
      ...cloudOver(withClient),
      thumbprint: async (signal) =>
        thumbprint ?? (ca === undefined ? undefined : verifiedThumbprint(server, ca, signal)),
    };
  };
}

/** SHA-256 of the server's certificate after the authority has vouched for it: what CAPV can pin, which knows no authorities. */
function verifiedThumbprint(server: string, ca: string, signal: AbortSignal): Promise<string> {
  const { host, port } = parseServer(server);
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ca, ...(isIP(host) ? {} : { servername: host }) });
    const stop = onAbort(signal, () =>
      socket.destroy(new Fault("Cancelled", "asking for vCenter's certificate was cancelled")),
    );
    socket.setTimeout(connectMs, () =>
      socket.destroy(new Fault("TimedOut", `vCenter at ${server} did not answer in ${connectMs / 1000} s`)),
    );
    socket.once("secureConnect", () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.end();
    });
    socket.once("error", (error) =>
      reject(Fault.from(error, `asking vCenter at ${server} for its certificate`)),
    );
    socket.once("close", stop);
  });
}

type WithClient = <T>(use: (client: VsphereClient) => Promise<T>) => Promise<T>;

function cloudOver(withClient: WithClient): Cloud {
  return {
    check: (placements, image, signal) =>
      withClient(async (client) => {
        await client.checkLogin(signal);
        const inventory = await client.inventory.snapshot(signal);
        return placements.flatMap(({ field, placement }) => {
          const named = image.template === undefined ? placement : { ...placement, template: image.template };
          return judgePlacement(inventory, named, { prefix: field }).problems;
        });
      }),
    findTemplate: (placement, image, signal) =>
      withClient(async (client) => {
        const path = templatePath(await client.inventory.snapshot(signal), placement, image);
        return path === undefined ? undefined : { path };
      }),
    census: (scope, signal) =>
      withClient(async (client) => {
        const found = new Map<string, VmFacts>();
        for (const { datacenter, folder } of distinctFolders(scope.placements)) {
          const byUuid =
            scope.biosUUIDs.length > 0
              ? await census(client, { datacenter, biosUuids: scope.biosUUIDs }, signal)
              : [];
          const inFolder = await census(client, { datacenter, folder }, signal);
          const byName = inFolder.filter((vm) => scope.names.includes(vm.name) || isLeased(vm, scope));
          for (const vm of [...byUuid, ...byName]) found.set(vm.ref.value, factsOf(vm, folder));
        }
        return [...found.values()];
      }),
    destroy: (vm, signal) =>
      withClient((client) => client.vms.destroy({ type: "VirtualMachine", value: vm.moref }, { signal })),
  };
}

/** The template that a placement's machines are cloned from: the named one, or the newest in the folder for the version. Pure. */
export function templatePath(
  inventory: InventorySnapshot,
  placement: Placement,
  image: { readonly template?: string; readonly kubernetesVersion: string },
): string | undefined {
  const scope = { datacenter: placement.datacenter };
  if (image.template !== undefined) {
    const pick = inventory.pick("template", image.template, scope);
    return pick.kind === "found" ? pick.entry.path : undefined;
  }
  const folder = `/${placement.imageTemplateFolder ?? templateFolder}/`;
  const version = image.kubernetesVersion.replace(/^v/, "").replaceAll(".", "\\.");
  const carries = new RegExp(`(^|[^0-9.])${version}($|[^0-9.])`);
  const fitting = inventory
    .list("template", scope)
    .filter((entry) => entry.path.includes(folder) && carries.test(entry.name));
  return fitting
    .map((entry) => entry.path)
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }))
    .at(-1);
}

function isLeased({ name, ipAddress }: CensusEntry, { leased }: CensusScope): boolean {
  return Boolean(
    leased && ipAddress && name.startsWith(leased.prefix) && leased.addresses.includes(ipAddress),
  );
}

function distinctFolders(
  placements: CensusScope["placements"],
): { datacenter: string; folder: string | undefined }[] {
  const distinct = new Map(
    placements.map(({ datacenter, folder }) => [`${datacenter}/${folder ?? ""}`, { datacenter, folder }]),
  );
  return [...distinct.values()];
}

function factsOf(vm: CensusEntry, folder: string | undefined): VmFacts {
  return {
    name: vm.name,
    biosUUID: vm.biosUuid ?? "",
    moref: vm.ref.value,
    ...(vm.ipAddress === undefined ? {} : { ipAddress: vm.ipAddress }),
    ...(folder === undefined ? {} : { folder }),
  };
}

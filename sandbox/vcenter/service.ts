// The service instance: what the server is and where its managers are.
import type { Ref } from "#vsphere";
import type { Write } from "#vsphere/soap/types.ts";
import type { World } from "./world.ts";

/** The version the simulated server says it is. */
export const apiVersion = "8.0.3.0";
export const olderVersions = ["8.0.2.0", "8.0.1.0", "8.0.0.1", "7.0.3.0", "7.0", "6.7"];

const ref = (type: string, value = type): Ref => ({ type, value });

export const managers = {
  propertyCollector: ref("PropertyCollector", "propertyCollector"),
  viewManager: ref("ViewManager"),
  sessionManager: ref("SessionManager"),
  authorizationManager: ref("AuthorizationManager"),
  searchIndex: ref("SearchIndex"),
  taskManager: ref("TaskManager"),
} as const;

export function content(world: World): Write<"ServiceContent"> {
  return {
    rootFolder: ref("Folder", world.rootId),
    ...managers,
    about: {
      name: "VMware vCenter Server",
      fullName: "VMware vCenter Server 8.0.3 build-0 (simulated)",
      vendor: "pcg",
      version: "8.0.3",
      build: "0",
      osType: "linux-x64",
      productLineId: "vpx",
      apiType: "VirtualCenter",
      apiVersion,
      instanceUuid: world.state.instanceUuid,
    },
  };
}

/** GET /sdk/vimServiceVersions.xml. */
export function versionsXml(): string {
  const older = olderVersions.map((version) => `   <version>${version}</version>`).join("\n");
  return `<?xml version="1.0" encoding="UTF-8"?>
<namespaces version="1.0">
 <namespace>
  <name>urn:vim25</name>
  <version>${apiVersion}</version>
  <priorVersions>
${older}
  </priorVersions>
 </namespace>
</namespaces>
`;
}

import { Fault } from "#core";
import { readObject } from "./collector.ts";
import type { Session } from "./session.ts";
import type { Ref, Write } from "./soap/types.ts";

/** What a card must say to be plugged into `network`: a standard network by name, a port group of a distributed switch by its key. */
export async function networkBacking(
  session: Session,
  network: Ref,
  signal?: AbortSignal,
): Promise<Write<"VirtualDeviceBackingInfo">> {
  if (network.type === "DistributedVirtualPortgroup") return portgroupBacking(session, network, signal);
  const values = await readObject(session, "Network", network, ["name", "summary"], signal);
  if (!values?.name) throw new Fault("NotFound", `network ${network.value} is gone`);
  const { summary } = values;
  if (summary?.$type === "OpaqueNetworkSummary")
    return {
      $type: "VirtualEthernetCardOpaqueNetworkBackingInfo",
      opaqueNetworkId: summary.opaqueNetworkId,
      opaqueNetworkType: summary.opaqueNetworkType,
    };
  return { $type: "VirtualEthernetCardNetworkBackingInfo", deviceName: values.name, network };
}

async function portgroupBacking(session: Session, group: Ref, signal: AbortSignal | undefined) {
  const paths = ["config.key", "config.distributedVirtualSwitch"] as const;
  const values = await readObject(session, "DistributedVirtualPortgroup", group, paths, signal);
  const portgroupKey = values?.["config.key"];
  const wired = values?.["config.distributedVirtualSwitch"];
  const uuid =
    wired && (await readObject(session, "DistributedVirtualSwitch", wired, ["uuid"], signal))?.uuid;
  if (!portgroupKey || !uuid)
    throw new Fault(
      "NotFound",
      `port group ${group.value} cannot be read: it is gone, or the account may not see its switch`,
    );
  return {
    $type: "VirtualEthernetCardDistributedVirtualPortBackingInfo",
    port: { switchUuid: uuid, portgroupKey },
  } as const satisfies Write<"VirtualDeviceBackingInfo">;
}

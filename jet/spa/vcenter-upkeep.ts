// How vCenter is reached may change while a cluster lives: a renewed certificate, another name. Whoever owns the cluster hears of it. Pure.
//
// Only what stands for the cluster as a whole says it: the VSphereCluster and its zones. Templates and machines are silent about it
// (proto/render/machine-template.ts), so CAPV brings it to the VMs that are there, and nothing has to be made anew. It does so when it
// next looks at a machine, which may be in ten minutes: the certificate, which a VSphereVM may change, is brought there at once.
import { spectroCluster, vsphereCluster, vsphereDeploymentZone, vsphereVM } from "#proto";
import type { Kind, Resource } from "#core";
import { zoneObjects } from "#proto/render/zones.ts";
import { includes } from "#proto/render/shape.ts";
import type { SpaAction } from "./action.ts";
import { thumbprintSeen } from "./rendered.ts";
import { objectsOf, type SpaSeen } from "./seen.ts";

/** What is stale on this side, which owns the cluster. Objects that are missing stay missing. */
export function vcenterUpkeep(seen: SpaSeen, on: "gateway" | "workload"): SpaAction[] {
  const way = wayToVcenter(seen);
  const { found, vms } = on === "gateway" ? onGateway(seen) : onWorkload(seen);
  const zones = seen.zones?.[on] ?? [];
  return [
    ...amend(on, vsphereCluster, found, way), // first: CAPV would bring the old one back from there
    ...(way.thumbprint ? vms.flatMap((vm) => amend(on, vsphereVM, vm, { thumbprint: way.thumbprint })) : []),
    ...zoneObjects(seen.spa.spec)
      .filter(({ kind }) => kind === vsphereDeploymentZone)
      .flatMap(({ kind, object }) =>
        amend(
          on,
          kind,
          zones.find((one) => one.kind === kind.kind && one.metadata.name === object.metadata.name),
          { server: way.server },
        ),
      ),
    ...(on === "workload" ? amend(on, spectroCluster, toldThere(seen), { desired: { cloud: way } }) : []),
  ];
}

function wayToVcenter(seen: SpaSeen): { readonly server: string; readonly thumbprint?: string } {
  const thumbprint = thumbprintSeen(seen);
  return { server: seen.spa.spec.cloud.server, ...(thumbprint ? { thumbprint } : {}) };
}

interface There {
  readonly found: Resource | undefined;
  readonly vms: readonly Resource[];
}

function onGateway({ gateway }: SpaSeen): There {
  return { found: objectsOf(gateway, vsphereCluster)[0], vms: objectsOf(gateway, vsphereVM) };
}

function onWorkload({ workload }: SpaSeen): There {
  const { vsphereCluster: found, vsphereVMs: vms = [] } = workload.kind === "reachable" ? workload : {};
  return { found, vms };
}

function toldThere({ workload }: SpaSeen): Resource | undefined {
  return workload.kind === "reachable" ? workload.spectroCluster : undefined;
}

function amend(
  on: "gateway" | "workload",
  kind: Kind,
  have: Resource | undefined,
  spec: Readonly<Record<string, unknown>>,
): SpaAction[] {
  if (!have || includes(have.spec, spec)) return [];
  const { name, namespace } = have.metadata;
  return [{ do: "amend", on, kind, namespace, name, spec }];
}

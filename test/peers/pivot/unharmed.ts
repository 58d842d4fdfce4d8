// What must be the same after a move, whatever was done to it: machines, addresses, VMs, and that nobody laid a hand on a VM.
import { silentLogger, systemClock, type Kind, type Resource, type ResourceStore } from "#core";
import { startInformer } from "#core/controller/informer.ts";
import { ipAddress, machine, machineDeployment, machineSet, moveKinds, vsphereVM } from "#proto";
import { until } from "../../scenario/until.ts";
import type { MovingSite } from "./moving-site.ts";
import type { Way } from "./moves.ts";

export interface Census {
  /** On the side that has the cluster, each by what it keeps wherever it moves. */
  readonly machines: readonly string[];
  readonly vmObjects: readonly string[];
  readonly addresses: readonly string[];
  /** In vCenter: reference, name, BIOS UUID, power, address. */
  readonly vms: readonly string[];
  /** vCenter's own journal of all that was ever done: clones, power, changes, removals. */
  readonly deeds: readonly string[];
}

export async function takeCensus(site: MovingSite, side: "gateway" | "workload"): Promise<Census> {
  const store: ResourceStore = side === "gateway" ? site.store : site.workload;
  const here = { namespace: `cluster-${site.uid}` };
  const all = async <R extends Resource>(kind: Kind<R>, text: (object: R) => string) =>
    (await store.list(kind, here)).items.map(text).sort();
  return {
    machines: await all(machine, ({ metadata, spec }) => `${metadata.name} ${String(spec.providerID)}`),
    vmObjects: await all(vsphereVM, ({ metadata, spec }) => `${metadata.name} ${String(spec.biosUUID)}`),
    addresses: await all(ipAddress, ({ spec }) => `${spec.address} ${spec.claimRef.name}`),
    vms: await vmsOf(site),
    deeds: await deedsOf(site),
  };
}

async function vmsOf({ vcenter }: MovingSite): Promise<string[]> {
  const paths = (await vcenter.govc(["find", "/DC0/vm", "-type", "m"])).split("\n").filter(Boolean);
  const { virtualMachines } = JSON.parse(await vcenter.govc(["vm.info", "-json", ...paths])) as {
    virtualMachines: readonly {
      readonly self: { readonly value: string };
      readonly name: string;
      readonly config: { readonly uuid: string };
      readonly runtime: { readonly powerState: string };
      readonly guest?: { readonly ipAddress?: string };
    }[];
  };
  return virtualMachines
    .map((vm) =>
      [vm.self.value, vm.name, vm.config.uuid, vm.runtime.powerState, vm.guest?.ipAddress].join(" "),
    )
    .sort();
}

/** vcsim keeps so many events. */
const kept = 1000;

async function deedsOf({ vcenter }: MovingSite): Promise<string[]> {
  const lines = (await vcenter.govc(["events", "-n", String(kept), "/DC0"])).split("\n").filter(Boolean);
  if (lines.length >= kept)
    throw new Error("vCenter's journal is full: what it has forgotten cannot be compared");
  return lines;
}

/** In what two censuses differ; nothing where nobody was harmed. */
export function harm(before: Census, after: Census): string[] {
  return (Object.keys(before) as (keyof Census)[]).flatMap((what) => {
    const [was, is] = [before[what], after[what]];
    return [
      ...is.filter((one) => !was.includes(one)).map((one) => `${what}: now there is ${one}`),
      ...was.filter((one) => !is.includes(one)).map((one) => `${what}: gone is ${one}`),
    ];
  });
}

/** What the side that gave the cluster away still holds of it when there was time enough: the last of it goes after the journal's end. */
export async function leftBehind(site: MovingSite, way: Way): Promise<string[]> {
  const store: ResourceStore = way === "ToWorkload" ? site.store : site.workload;
  const kinds = moveKinds.filter(({ group }) => /^(?!ipam\.).*cluster\.x-k8s\.io$/.test(group));
  const here = { namespace: `cluster-${site.uid}` };
  let left: readonly Resource[] = [];
  const none = async () => {
    left = (await Promise.all(kinds.map(async (kind) => (await store.list(kind, here)).items))).flat();
    return left.length === 0;
  };
  return until("nothing is left behind", none).then(
    () => [],
    () => left.map(({ kind, metadata }) => `${kind}/${metadata.name} was left behind`),
  );
}

/** Everything that would make machines, or is one, on either side and at any moment: names that there were not before are written down. */
export async function watchForMore(
  site: MovingSite,
  known: Census,
): Promise<{ readonly extra: Set<string>; close(): Promise<void> }> {
  const stop = new AbortController();
  const names = new Set<string>();
  const extra = new Set<string>();
  let counting = false;
  const informers = [site.store, site.workload].flatMap((store: ResourceStore) =>
    [machine, machineSet, machineDeployment, vsphereVM].map((kind: Kind) => {
      const informer = startInformer(
        { store, clock: systemClock, log: silentLogger, random: Math.random },
        { kind, namespace: `cluster-${site.uid}`, backoff: { baseMs: 50, capMs: 500 } },
        stop.signal,
      );
      informer.subscribe(({ object }) => {
        const name = `${kind.kind}/${object.metadata.name}`;
        if (!counting) names.add(name);
        else if (!names.has(name)) extra.add(name);
      });
      return informer;
    }),
  );
  await Promise.all(informers.map((informer) => informer.synced));
  counting = true;
  const machines = [...names].filter((name) => name.startsWith("Machine/")).length;
  if (machines !== known.machines.length)
    throw new Error(`${machines} machines instead of ${known.machines.length}`);
  return {
    extra,
    async close() {
      stop.abort();
      await Promise.all(informers.map((informer) => informer.stopped));
    },
  };
}

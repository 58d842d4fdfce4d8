// Two sides and a cluster with its first node on one of them; for the pivot's tests.
import { Fault, type OwnedStore, type Resource, type ResourceStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import {
  cluster,
  encode64,
  inClusterIPPool,
  kubeadmControlPlane,
  machine,
  moveKinds,
  namespace,
  secret,
  vsphereCluster,
  vsphereVM,
  type SpaSpec,
} from "#proto";
import { clusterNames, type ClusterNames } from "#proto/render/names.ts";
import { ensureExists } from "../ensure.ts";
import { crashing, type Doom } from "../testing/crashing-store.ts";
import { Datacenter, playCapi } from "../testing/play-capi.ts";
import { wish } from "../testing/world.ts";
import { identitySecret } from "../render/cluster.ts";
import { moves } from "./closure.ts";
import { readDecision } from "./decision.ts";
import { newJournal, sameJournal, type Direction, type JournalPort, type PivotJournal } from "./journal.ts";
import { holdsCredential } from "./decide.ts";
import { memorySnapshotShelf } from "./snapshot.ts";
import type { PivotContext } from "./step.ts";

export class PivotLab {
  readonly clock = fakeClock();
  readonly source: OwnedStore = memoryStore({ clock: this.clock });
  readonly target: OwnedStore;
  readonly dc = new Datacenter();
  readonly names: ClusterNames;
  readonly spec: SpaSpec;
  readonly snapshots = memorySnapshotShelf();
  journal: PivotJournal | undefined;

  /** Both sides in memory, unless told; the lab closes them. */
  constructor({ uid = "u1", target }: { readonly uid?: string; readonly target?: OwnedStore } = {}) {
    this.target = target ?? memoryStore({ clock: this.clock });
    this.names = clusterNames(uid, "c1");
    this.spec = wish({ clusterUid: uid });
  }

  /** The cluster on the source, with one control-plane machine (and worker machines, if wanted). */
  async prepare(): Promise<void> {
    const ns = this.names.namespace;
    for (const store of [this.source, this.target])
      await ensureExists(store, namespace, { metadata: { name: ns } });
    await this.source.create(secret, (await this.identity())! as never);
    await this.source.create(inClusterIPPool, {
      metadata: { name: "c1", namespace: ns },
      spec: { addresses: ["10.0.0.11", "10.0.0.12"], prefix: 24, gateway: "10.0.0.1" },
    });
    await this.source.create(kubeadmControlPlane, {
      metadata: { name: "c1-cp", namespace: ns },
      spec: {
        replicas: 1,
        version: "v1.35.4",
        kubeadmConfigSpec: { format: "cloud-config" },
        machineTemplate: {
          spec: {
            infrastructureRef: {
              apiGroup: "infrastructure.cluster.x-k8s.io",
              kind: "VSphereMachineTemplate",
              name: "t",
            },
          },
        },
      },
    } as never);
    await this.source.create(vsphereCluster, {
      metadata: { name: "c1", namespace: ns },
      spec: { server: "vc", identityRef: { kind: "Secret", name: this.names.identity } },
    });
    await this.source.create(cluster, {
      metadata: { name: "c1", namespace: ns },
      spec: { clusterNetwork: { serviceDomain: "cluster.local" } },
    });
    await this.play();
    await this.play();
    this.journal = newJournal("ToWorkload", "p1", 1, this.clock.now());
  }

  identity() {
    return Promise.resolve(identitySecret(this.spec, { username: encode64("u"), password: encode64("p") }));
  }

  async play(): Promise<void> {
    const here = { namespace: this.names.namespace };
    await playCapi(this.source, this.dc, here);
    await playCapi(this.target, this.dc, here);
  }

  /** The context of a process, doomed or not. */
  context(direction: Direction = "ToWorkload", doom?: Doom): PivotContext {
    const seen = (store: ResourceStore) => (doom ? crashing(store, doom) : store);
    const journal: JournalPort = {
      read: () => (doom ? doom.read(() => Promise.resolve(this.journal)) : Promise.resolve(this.journal)),
      write: (next, expected) => {
        const write = () => {
          if (!sameJournal(this.journal, expected)) return Promise.reject(new Fault("Conflict", "moved on"));
          this.journal = next;
          return Promise.resolve();
        };
        return doom ? doom.write(write) : write();
      },
    };
    return {
      source: seen(this.source),
      target: seen(this.target),
      journal,
      snapshots: this.snapshots,
      names: this.names,
      identity: () => this.identity(),
      targetLacks: () => Promise.resolve(undefined),
      missingVms: (uuids) =>
        Promise.resolve(uuids.filter((u) => ![...this.dc.vms.values()].some((vm) => vm.biosUUID === u))),
      purpose: direction === "ToWorkload" ? "manage" : "delete",
      clock: this.clock,
      quietMs: 0,
      watchMs: 0,
      lostMs: 600_000,
    };
  }

  async holdsCredential(store: ResourceStore): Promise<boolean> {
    return holdsCredential(
      await store.get(secret, { namespace: this.names.namespace, name: this.names.identity }),
    );
  }

  /** I1, now. */
  async checkCredential(): Promise<void> {
    if ((await this.holdsCredential(this.source)) && (await this.holdsCredential(this.target))) {
      throw new Error("I1: both sides hold the credential");
    }
  }

  /** What a side holds of the cluster: "Kind/name". */
  async held(store: ResourceStore): Promise<string[]> {
    const found: string[] = [];
    for (const kind of moveKinds) {
      for (const object of (await store.list(kind, { namespace: this.names.namespace })).items) {
        if (moves(kind, object, "c1")) found.push(`${kind.kind}/${object.metadata.name}`);
      }
    }
    return found.sort();
  }

  /** A person, or a bug, un-pauses the Clusters of both sides; everybody who can then acts. */
  async rogueUnpause(): Promise<void> {
    for (const store of [this.source, this.target]) {
      const object = await store.get(cluster, { namespace: this.names.namespace, name: "c1" });
      if (object?.spec.paused)
        await store.update(cluster, { ...object, spec: { ...object.spec, paused: false } });
    }
    await this.play();
  }

  /** The end of a pivot: the target has all of it and acts, the source has nothing, nothing was made twice. */
  async problems(expected: readonly string[]): Promise<string[]> {
    await this.play();
    const problems: string[] = [];
    const here = { namespace: this.names.namespace };
    const there = await this.held(this.target);
    const left = await this.held(this.source);
    if (there.join() !== expected.join()) problems.push(`target holds ${there.join(" ")}`);
    if (left.length > 0) problems.push(`source still holds ${left.join(" ")}`);
    if (!(await this.holdsCredential(this.target))) problems.push("the target has no credential");
    if (await this.holdsCredential(this.source)) problems.push("the source kept its credential");
    if (this.dc.made !== 1) problems.push(`${this.dc.made} VMs were made`);
    const [plane] = (await this.target.list(cluster, here)).items;
    if (plane?.spec.paused) problems.push("the Cluster is still paused");
    const vm = (await this.target.list(vsphereVM, here)).items[0];
    if (!vm || ![...this.dc.vms.values()].some((v) => v.biosUUID === vm.spec.biosUUID))
      problems.push("the VM is not known");
    if ((await this.target.list(machine, here)).items.length !== 1) problems.push("not exactly one Machine");
    if ((await readDecision(this.target, this.names.namespace))?.state !== "Active")
      problems.push("the decision is not Active");
    problems.push(...(await this.#strayOwners(this.target)));
    return problems;
  }

  /** I3 */
  async #strayOwners(store: ResourceStore): Promise<string[]> {
    const objects: Resource[] = [];
    for (const kind of moveKinds)
      objects.push(...(await store.list(kind, { namespace: this.names.namespace })).items);
    const uids = new Set(objects.map((o) => o.metadata.uid));
    return objects.flatMap((o) =>
      (o.metadata.ownerReferences ?? [])
        .filter((ref) => !uids.has(ref.uid))
        .map((ref) => `${o.kind}/${o.metadata.name} has the unknown owner ${ref.kind}`),
    );
  }

  async close(): Promise<void> {
    await this.source.close();
    await this.target.close();
  }
}

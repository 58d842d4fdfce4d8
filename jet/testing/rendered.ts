// Wishes of every kind, and all objects that Jet writes for one: for tests that hold them against something.
import { Secret, type Draft, type Kind, type Resource } from "#core";
import {
  cluster,
  inClusterIPPool,
  kubeadmControlPlane,
  secret,
  vsphereCluster,
  vsphereMachineTemplate,
  type SpaSpec,
} from "#proto";
import { addressNeeds, controlPlanePlacement } from "#proto/render/addresses.ts";
import { machineTemplate } from "#proto/render/machine-template.ts";
import { clusterNames } from "#proto/render/names.ts";
import { zoneObjects } from "#proto/render/zones.ts";
import {
  childPool,
  clusterObject,
  identitySecret,
  vsphereClusterObject,
  type Resolved,
} from "../render/cluster.ts";
import { controlPlane } from "../render/control-plane.ts";
import { etcdSecrets } from "../render/etcd.ts";
import { wish, type SpecInput } from "./world.ts";

export const resolved: Resolved = {
  endpoint: { host: "10.0.0.10", port: 6443 },
  template: "/DC0/vm/templates/u-v1.35.4",
};

const dhcp: Partial<SpecInput> = {
  network: { endpoint: { type: "DDNS", host: "c1.example.test" }, certSANs: ["10.9.9.9"] },
  access: { sshKeys: ["ssh-ed25519 AAAA op@desk"], ntpServers: ["10.0.0.2"] },
  placement: {
    datacenter: "DC0",
    folder: "/DC0/vm/clusters",
    computeCluster: "DC0_C0",
    resourcePool: "gold",
    storagePolicyName: "fast",
    networkName: "VM Network",
    staticIp: false,
    nameservers: ["10.0.0.53"],
  },
  controlPlane: { replicas: 3, useControlPlaneAsWorker: true, labels: { tier: "cp" } },
};

const external: Partial<SpecInput> = {
  network: { endpoint: { type: "External", host: "10.0.0.10" } },
  controlPlane: {
    etcd: {
      type: "external",
      endpoints: ["https://10.0.0.5:2379", "https://10.0.0.6:2379"],
      secretRef: { name: "lab-etcd" },
    },
  },
};

const place = { datacenter: "DC0", computeCluster: "DC0_C0", datastore: "ds0", networkName: "VM Network" };

const long = "a".repeat(63);

/** By what is special about them. */
export const wishes = {
  "static addresses, an address for the API from the pool": wish(),
  "DHCP, a name for the API, its own rules for nodes": wish(dhcp),
  "an etcd of the site, an endpoint that is there already": wish(external),
  "names as long as they may be": wish({ clusterName: long, clusterUid: "b".repeat(55) }),
  "several places for the control plane": wish({
    controlPlane: {
      replicas: 3,
      failureDomains: [
        { name: "a", placement: { ...place, ipPoolRef: { name: "edge" } } },
        {
          name: "b",
          region: "south",
          zone: "rack-2",
          placement: {
            ...place,
            computeCluster: "DC0_C1",
            folder: "/DC0/vm/b",
            ipPoolRef: { name: "edge-b" },
          },
        },
      ],
    },
  }),
  "a registry of the site": wish({ images: { registry: "registry.test:5000/mirror" } }),
  "taints of its own": wish({
    controlPlane: { taints: [{ key: "dedicated", value: "api", effect: "NoExecute" }] },
  }),
} satisfies Record<string, SpaSpec>;

export interface Rendered {
  readonly kind: Kind;
  readonly object: Draft<Resource>;
}

/** What a test may know better. */
interface Known {
  readonly template?: string;
  readonly credential?: { readonly username: string; readonly password: string };
}

/** In the order in which they are written. */
export function renderedObjects(spec: SpaSpec, known: Known = {}): Rendered[] {
  const { template = resolved.template, credential = { username: "dQ==", password: "cA==" } } = known;
  const { host = resolved.endpoint.host, port } = spec.network.endpoint;
  const found = { ...resolved, endpoint: { host, port }, mirror: spec.images?.registry };
  const names = clusterNames(spec.clusterUid, spec.clusterName);
  const shape = {
    placement: controlPlanePlacement(spec),
    instance: spec.controlPlane.instance,
    template,
  };
  const machine = machineTemplate(vsphereMachineTemplate, spec, names.namespace, names.controlPlane, shape);
  const leased = [{ address: "10.0.0.11", prefix: 24, gateway: "10.0.0.1" }];
  const etcd = { ca: "Q0E=", certificate: "Q1JU", key: new Secret("S0VZ") };
  return [
    { kind: secret, object: identitySecret(spec, credential) },
    ...addressNeeds(spec).map(({ child }) => ({
      kind: inClusterIPPool,
      object: childPool(spec, child, leased),
    })),
    ...(spec.controlPlane.etcd ? etcdSecrets(spec, etcd) : []).map((object) => ({ kind: secret, object })),
    { kind: vsphereMachineTemplate, object: machine },
    { kind: kubeadmControlPlane, object: controlPlane(spec, found, machine.metadata.name, 1) },
    { kind: vsphereCluster, object: vsphereClusterObject(spec, found) },
    ...zoneObjects(spec),
    { kind: cluster, object: clusterObject(spec, found) },
  ];
}

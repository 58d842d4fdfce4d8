// One good object of each kind that we make a CRD for: what is written of it, without apiVersion, kind and metadata.
import type { Kind } from "#core";
import {
  gateway,
  globalInClusterIPPool,
  globalInClusterPrefixPool,
  inClusterIPPool,
  inClusterPrefixPool,
  ipAddress,
  ipAddressClaim,
  metal3IPAddress,
  metal3IPClaim,
  metal3IPPool,
  spa,
  spectroCluster,
} from "#proto";

const poolSpec = {
  addresses: ["10.0.0.10-10.0.0.20", "10.0.1.0/28"],
  prefix: 24,
  gateway: "10.0.0.1",
  allocateReservedIPAddresses: false,
  excludedAddresses: ["10.0.0.15"],
};
const prefixPoolSpec = {
  prefixes: ["10.8.0.0/16"],
  allocationPrefixLength: 28,
  excludedPrefixes: ["10.8.0.0/24"],
};
const range = {
  start: "10.0.0.10",
  end: "10.0.0.20",
  prefix: 24,
  gateway: "10.0.0.1",
  dnsServers: ["10.0.0.2"],
};
const metal3PoolSpec = {
  pools: [range],
  preAllocations: { one: "10.0.0.10" },
  prefix: 24,
  namePrefix: "edge",
};
const metal3Pool = { name: "edge", namespace: "default" };
const poolRef = { apiGroup: "ipam.cluster.x-k8s.io", kind: "InClusterIPPool", name: "edge" };
const placement = {
  datacenter: "DC0",
  computeCluster: "DC0_C0",
  datastore: "LocalDS_0",
  networkName: "VM Network",
  ipPoolRef: { name: "edge" },
  nameservers: ["10.0.0.2"],
};
const wanted = {
  clusterUid: "abc123",
  clusterName: "edge-1",
  tags: { team: "shop" },
  cloud: { type: "vsphere", server: "vcenter.local:443" },
  placement,
  network: { endpoint: { type: "VIP", port: 6443 }, certSANs: ["api.local"] },
  access: { sshKeys: ["ssh-ed25519 AAAA"], ntpServers: ["10.0.0.3"] },
  kubernetesVersion: "v1.35.4",
  images: { registry: "registry.local:5000/mirror", pullSecretRef: { name: "logins" } },
  controlPlane: {
    replicas: 3,
    etcd: { type: "external", endpoints: ["https://10.0.0.4:2379"], secretRef: { name: "etcd" } },
    failureDomains: [
      { name: "a", placement, region: "south", zone: "rack-1" },
      { name: "b", placement },
    ],
    instance: { numCPUs: 4, memoryMiB: 8192 },
    labels: { a: "b" },
  },
  workerPools: [{ name: "workers", size: 2, taints: [{ key: "k", effect: "NoSchedule" }] }],
};
const agent = { planeUrl: "https://plane.local", enrolmentToken: "t" };
export const samples: readonly (readonly [Kind, Readonly<Record<string, unknown>>])[] = [
  [inClusterIPPool, { spec: poolSpec }],
  [globalInClusterIPPool, { spec: poolSpec }],
  [inClusterPrefixPool, { spec: prefixPoolSpec }],
  [globalInClusterPrefixPool, { spec: prefixPoolSpec }],
  [metal3IPPool, { spec: metal3PoolSpec }],
  [metal3IPClaim, { spec: { pool: metal3Pool } }],
  [
    metal3IPAddress,
    {
      spec: { claim: { name: "c" }, pool: metal3Pool, address: "10.0.0.10", prefix: 24, gateway: "10.0.0.1" },
    },
  ],
  [ipAddressClaim, { spec: { clusterName: "edge-1", poolRef } }],
  [
    ipAddress,
    { spec: { address: "10.0.0.10", prefix: 24, gateway: "10.0.0.1", claimRef: { name: "c" }, poolRef } },
  ],
  [spa, { spec: { ...wanted, cloud: { ...wanted.cloud, credentialRef: { name: "vc" } }, agent } }],
  [spectroCluster, { spec: { desired: wanted, counter: 1, signature: "x" } }],
  [gateway, { spec: {} }],
];

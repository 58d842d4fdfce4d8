// For tests: an entity as a user writes it.
import type { ClusterEntity } from "./rest/shapes.ts";

export function sampleEntity(change: (entity: ClusterEntity) => void = () => {}): ClusterEntity {
  const entity: ClusterEntity = {
    metadata: {
      name: "shop-1",
      labels: { env: "test" },
      annotations: { "pcg.dev/kubernetes-version": "1.35.4" },
    },
    spec: {
      cloudConfig: {
        placement: {
          datacenter: "DC0",
          cluster: "C0",
          datastore: "LocalDS_0",
          network: { networkName: "VM Network", parentPoolUid: "default/nodes" },
        },
        controlPlaneEndpoint: { type: "VIP" },
        sshKeys: ["ssh-ed25519 AAAA"],
        ntpServers: ["10.0.0.1"],
        staticIp: true,
      },
      machinepoolconfig: [
        {
          poolConfig: { name: "control-plane", size: 3, isControlPlane: true },
          cloudConfig: { instanceType: { numCPUs: 2, memoryMiB: 4096, diskGiB: 40 } },
        },
        {
          poolConfig: { name: "workers", size: 2, taints: [{ key: "gpu", effect: "NoSchedule" }] },
          cloudConfig: { instanceType: { numCPUs: 4, memoryMiB: 8192, diskGiB: 60 } },
        },
      ],
    },
  };
  change(entity);
  return entity;
}

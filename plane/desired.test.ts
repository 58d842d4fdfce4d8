import { generateKeyPairSync, sign } from "node:crypto";
import { expect, test } from "vitest";
import { verifyDesired } from "#tunnel/identity/index.ts";
import {
  desiredCluster,
  hashOf,
  kubernetesVersion,
  signDesired,
  specOf,
  type DesireContext,
} from "./desired.ts";
import { poolReference } from "./placement.ts";
import type { ClusterEntity, MachinePoolEntity } from "./rest/shapes.ts";
import { sampleEntity } from "./samples.ts";

const context: DesireContext = {
  clusterUid: "c1",
  tenantUid: "t1",
  projectUid: "p1",
  server: "vcenter.example:443",
  pools: [{ name: "nodes", namespace: "default" }],
  planeUrl: "https://plane:8443",
  planeCa: "PEM",
};
const pool = (entity: ClusterEntity, index: number): MachinePoolEntity =>
  entity.spec.machinepoolconfig![index]!;
const specFor = (entity: ClusterEntity, more: Partial<DesireContext> = {}) => {
  const mapped = specOf(entity, { ...context, ...more });
  if (mapped.kind === "problems") throw new Error(JSON.stringify(mapped.problems));
  return mapped.spec;
};
const problemsOf = (entity: ClusterEntity) => {
  const mapped = specOf(entity, context);
  return mapped.kind === "problems" ? mapped.problems.map((p) => `${p.field}: ${p.message}`) : [];
};

test("an entity becomes a spec with everything the gateway needs", () => {
  expect(specFor(sampleEntity())).toEqual({
    clusterUid: "c1",
    clusterName: "shop-1",
    projectUid: "p1",
    tenantUid: "t1",
    tags: { env: "test" },
    counter: 1,
    action: "Create",
    deletePolicy: "Graceful",
    pause: false,
    cloud: { type: "vsphere", server: "vcenter.example:443", credentialRef: { name: "vcenter" } },
    placement: {
      datacenter: "DC0",
      computeCluster: "C0",
      datastore: "LocalDS_0",
      networkName: "VM Network",
      staticIp: true,
      ipPoolRef: { kind: "InClusterIPPool", name: "nodes", namespace: "default" },
    },
    network: {
      endpoint: { type: "VIP", port: 6443 },
      podCidr: "192.168.0.0/16",
      serviceCidr: "10.96.0.0/12",
    },
    access: { sshKeys: ["ssh-ed25519 AAAA"], ntpServers: ["10.0.0.1"] },
    kubernetesVersion: "v1.35.4",
    image: {},
    controlPlane: {
      replicas: 3,
      instance: { numCPUs: 2, memoryMiB: 4096, diskGiB: 40 },
      useControlPlaneAsWorker: false,
    },
    workerPools: [
      {
        name: "workers",
        size: 2,
        instance: { numCPUs: 4, memoryMiB: 8192, diskGiB: 60 },
        taints: [{ key: "gpu", effect: "NoSchedule" }],
        updateStrategy: "RollingUpdateScaleOut",
      },
    ],
    agent: { planeUrl: "https://plane:8443", planeCa: "PEM" },
  });
});

test("Terraform's shape works: datacenter and folder on the cluster, the rest on each pool, empty texts and nulls in between", () => {
  const spec = specFor(
    sampleEntity((e) => {
      e.spec.cloudConfig!.placement = { datacenter: "DC0", folder: "vm/k8s", cluster: "", network: null };
      e.spec.cloudConfig!.ntpServers = null;
      pool(e, 0).cloudConfig!.placements = [
        {
          uid: "",
          cluster: "C0",
          datastore: "ds1",
          resourcePool: "rp",
          network: { networkName: "net-a", parentPoolUid: "edge/pool" },
        },
      ];
      pool(e, 1).cloudConfig!.placements = [
        { cluster: "C1", datastore: "ds2", network: { networkName: "net-b", staticIp: false } },
      ];
    }),
  );
  expect(spec.placement).toMatchObject({
    datacenter: "DC0",
    folder: "vm/k8s",
    computeCluster: "C0",
    networkName: "net-a",
    ipPoolRef: { namespace: "edge", name: "pool" },
  });
  expect(spec.workerPools[0]?.placement).toMatchObject({
    datacenter: "DC0",
    folder: "vm/k8s",
    computeCluster: "C1",
    networkName: "net-b",
    staticIp: false,
  });
  expect(spec.workerPools[0]?.placement?.ipPoolRef).toBeUndefined();
});

test("an etcd of the site is asked for by two annotations, and only the name of its Secret is at the plane", () => {
  const spec = specFor(
    sampleEntity((e) => {
      e.metadata.annotations!["pcg.dev/etcd-endpoints"] = "https://10.0.0.5:2379, https://10.0.0.6:2379";
      e.metadata.annotations!["pcg.dev/etcd-secret"] = "site-etcd";
    }),
  );
  expect(spec.controlPlane.etcd).toEqual({
    type: "external",
    endpoints: ["https://10.0.0.5:2379", "https://10.0.0.6:2379"],
    secretRef: { name: "site-etcd" },
  });
});

test("several placements of the control-plane pool are its failure domains", () => {
  const spec = specFor(
    sampleEntity((e) => {
      pool(e, 0).cloudConfig!.placements = [
        { cluster: "C0" },
        { cluster: "C1", datastore: "ds1", zone: "rack-2" },
      ];
    }),
  );
  expect(spec.controlPlane.failureDomains).toMatchObject([
    { name: "zone-1", placement: { datacenter: "DC0", computeCluster: "C0", networkName: "VM Network" } },
    { name: "zone-2", zone: "rack-2", placement: { computeCluster: "C1", datastore: "ds1" } },
  ]);
  expect(
    problemsOf(
      sampleEntity((e) => {
        delete e.spec.cloudConfig!.placement!.cluster;
        pool(e, 0).cloudConfig!.placements = [{ cluster: "C0" }, {}];
      }),
    ),
  ).toContain(
    "spec.machinepoolconfig[0].cloudConfig.placements[1].cluster: is missing, here and in spec.cloudConfig.placement",
  );
});

test.each<[string, (e: ClusterEntity) => void, string[]]>([
  [
    "an etcd without its Secret",
    (e) => (e.metadata.annotations!["pcg.dev/etcd-endpoints"] = "https://10.0.0.5:2379"),
    ['metadata.annotations["pcg.dev/etcd-secret"]: is missing; pcg.dev/etcd-endpoints needs it'],
  ],
  [
    "an etcd that is no address",
    (e) =>
      Object.assign(e.metadata.annotations!, {
        "pcg.dev/etcd-endpoints": "10.0.0.5",
        "pcg.dev/etcd-secret": "site-etcd",
      }),
    ['metadata.annotations["pcg.dev/etcd-endpoints"]: like https://10.0.0.5:2379'],
  ],
  [
    "no datacenter",
    (e) => delete e.spec.cloudConfig!.placement!.datacenter,
    ["spec.cloudConfig.placement.datacenter: is missing, here and in spec.cloudConfig.placement"],
  ],
  [
    "an even control plane",
    (e) => (pool(e, 0).poolConfig!.size = 2),
    ["spec.machinepoolconfig[0].poolConfig.size: a control plane has 1, 3 or 5 machines, not 2"],
  ],
  [
    "no control plane",
    (e) => (pool(e, 0).poolConfig!.isControlPlane = false),
    ["spec.machinepoolconfig: exactly one pool must have poolConfig.isControlPlane, 0 have"],
  ],
  [
    "a name with capitals",
    (e) => (e.metadata.name = "Shop"),
    ["metadata.name: lower case letters, digits and '-' only"],
  ],
  ["no name", (e) => delete e.metadata.name, ["metadata.name: is missing"]],
  [
    "no Kubernetes version",
    (e) => (e.metadata.annotations = {}),
    [
      expect.stringMatching(
        /^metadata\.annotations\["pcg\.dev\/kubernetes-version"\]: no Kubernetes version/,
      ) as string,
    ],
  ],
  [
    "a vague Kubernetes version",
    (e) => (e.metadata.annotations = { "pcg.dev/kubernetes-version": "1.35" }),
    ['metadata.annotations["pcg.dev/kubernetes-version"]: like v1.35.4'],
  ],
  [
    "static addresses without a pool",
    (e) => (e.spec.cloudConfig!.placement!.network = { networkName: "n" }),
    [
      "spec.cloudConfig.placement.network.parentPoolUid: is missing; static addresses need a pool; the gateway has: default/nodes",
    ],
  ],
  [
    "too little memory",
    (e) => (pool(e, 1).cloudConfig!.instanceType!.memoryMiB = 512),
    ["spec.machinepoolconfig[1].cloudConfig.instanceType.memoryMiB: Too small: expected number to be >=2048"],
  ],
  [
    "two pools of one name",
    (e) => e.spec.machinepoolconfig!.push(pool(e, 1)),
    ["spec.machinepoolconfig[2].poolConfig.name: another pool is called 'workers' already"],
  ],
  [
    "several placements",
    (e) => (pool(e, 1).cloudConfig!.placements = [{ cluster: "C0" }, { cluster: "C1" }]),
    [
      "spec.machinepoolconfig[1].cloudConfig.placements: one placement a worker pool, several for the control plane alone; make a pool for each place",
    ],
  ],
  [
    "an external endpoint without a host",
    (e) => (e.spec.cloudConfig!.controlPlaneEndpoint = { type: "External" }),
    ["spec.cloudConfig.controlPlaneEndpoint.host: is missing; type External needs it"],
  ],
])("a mistake is told in the caller's words: %s", (_name, change, expected) => {
  expect(problemsOf(sampleEntity(change))).toEqual(expected);
});

test("all mistakes are told at once", () => {
  const found = problemsOf(
    sampleEntity((e) => {
      e.metadata.name = "A B";
      e.metadata.annotations = {};
      e.spec.cloudConfig!.placement = {};
      pool(e, 0).poolConfig!.size = 4;
      pool(e, 1).poolConfig!.size = -1;
    }),
  );
  expect(found.map((f) => f.slice(0, f.indexOf(": ")))).toEqual([
    "spec.machinepoolconfig[0].poolConfig.size",
    'metadata.annotations["pcg.dev/kubernetes-version"]',
    "spec.cloudConfig.placement.datacenter",
    "spec.cloudConfig.placement.cluster",
    "spec.cloudConfig.placement.network.networkName",
    "spec.cloudConfig.placement.network.parentPoolUid",
    "metadata.name",
    "spec.machinepoolconfig[1].poolConfig.size",
  ]);
});

test("the Kubernetes version comes from the annotation, else from the profile's kubernetes pack", () => {
  const profiles = [
    {
      uid: "x",
      packValues: [
        { name: "ubuntu-vsphere", tag: "24.04" },
        { name: "kubernetes", tag: "1.33.5" },
      ],
    },
  ];
  expect(kubernetesVersion(sampleEntity((e) => (e.spec.profiles = profiles)))).toBe("v1.35.4");
  expect(
    kubernetesVersion(sampleEntity((e) => ((e.spec.profiles = profiles), (e.metadata.annotations = null)))),
  ).toBe("v1.33.5");
});

test.each([
  ["nodes", [], { kind: "InClusterIPPool", name: "nodes", namespace: "default" }],
  ["edge/nodes", [{ name: "nodes" }], { kind: "InClusterIPPool", name: "nodes", namespace: "edge" }],
  ["nodes", [{ name: "nodes" }], { kind: "GlobalInClusterIPPool", name: "nodes" }],
  ["/nodes", [], { kind: "GlobalInClusterIPPool", name: "nodes" }],
])("parentPoolUid %s with pools %j refers to %j", (text, pools, expected) => {
  expect(poolReference(text, pools)).toEqual(expected);
});

test("equal wishes have equal hashes, whatever their counter and the order of their fields; a change has another", () => {
  const spec = specFor(sampleEntity());
  const { clusterName, ...rest } = spec;
  expect(hashOf({ ...rest, clusterName, counter: 9 })).toBe(hashOf(spec));
  expect(hashOf({ ...spec, controlPlane: { ...spec.controlPlane, replicas: 5 } })).not.toBe(hashOf(spec));
});

test("a signed document is believed as it is, and not with one byte changed", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
  const desired = desiredCluster(specFor(sampleEntity()), {
    gatewayUid: "g1",
    counter: 7,
    action: "Create",
    enrolmentToken: "tok",
  });
  const signed = signDesired(desired, (document) =>
    sign(null, Buffer.from(document), privateKey).toString("base64"),
  );
  expect(verifyDesired(signed, pem)).toEqual(desired);
  expect(desired.spec).toMatchObject({ counter: 7, agent: { enrolmentToken: "tok" } });
  const changed = { ...signed, document: signed.document.replace('"counter":7', '"counter":8') };
  expect(() => verifyDesired(changed, pem)).toThrow(/not signed by the plane/);
  expect(() => verifyDesired({ document: 1 }, pem)).toThrow(/without document and signature/);
});

test("a worker pool's bounds for an autoscaler go into the spec; bounds that do not fit are told by their field", () => {
  const with_ = (at: number, config: object) => {
    const entity = sampleEntity();
    Object.assign(pool(entity, at).poolConfig!, config);
    return entity;
  };
  const workers = sampleEntity().spec.machinepoolconfig!.findIndex(
    (each) => !each.poolConfig?.isControlPlane,
  );
  const leader = 1 - workers;
  const [made] = specFor(with_(workers, { size: 2, minSize: 1, maxSize: 5 })).workerPools;
  expect(made).toMatchObject({ size: 2, minSize: 1, maxSize: 5 });
  const field = `spec.machinepoolconfig[${workers}].poolConfig`;
  expect(problemsOf(with_(workers, { size: 6, minSize: 1, maxSize: 5 }))).toEqual([
    `${field}.size: 6 is not between minSize, 1, and maxSize, 5`,
  ]);
  expect(problemsOf(with_(workers, { size: 2, minSize: 3, maxSize: 2 }))).toEqual([
    `${field}.minSize: 3 is more than maxSize, 2`,
  ]);
  expect(problemsOf(with_(workers, { size: 2, minSize: 1 }))).toEqual([
    `${field}.maxSize: is missing; minSize alone says nothing to an autoscaler`,
  ]);
  expect(problemsOf(with_(leader, { maxSize: 3 }))).toEqual([
    `spec.machinepoolconfig[${leader}].poolConfig.maxSize: a control plane is not autoscaled; leave minSize and maxSize out`,
  ]);
});

test.each([
  [{ size: 2, minSize: 0, maxSize: 0 }],
  [{ size: 2, minSize: 2, maxSize: 2 }],
  [{ size: 2, minSize: null, maxSize: null }],
])("no autoscaler is meant by %j, which clients send of any pool, a control plane's too", (config) => {
  const entity = sampleEntity();
  for (const each of entity.spec.machinepoolconfig!) {
    const size = each.poolConfig!.isControlPlane ? 1 : 2;
    const [minSize, maxSize] = [config.minSize, config.maxSize].map((many) => (many ? size : many));
    Object.assign(each.poolConfig!, { size, minSize, maxSize });
  }
  const { workerPools } = specFor(entity);
  expect(workerPools[0]).not.toHaveProperty("minSize");
  expect(workerPools[0]).not.toHaveProperty("maxSize");
});

import { afterEach, beforeEach, expect, it } from "vitest";
import {
  cluster,
  inClusterIPPool,
  vsphereCluster,
  vsphereDeploymentZone,
  vsphereFailureDomain,
} from "#proto";
import { wishes } from "../testing/rendered.ts";
import { wish, World } from "../testing/world.ts";
import { specProblems } from "./problems.ts";
import { zonesIn } from "./zones.ts";

const spec = wishes["several places for the control plane"];

let world: World;
beforeEach(async () => {
  world = new World();
  await world.prepare(24);
  await world.gateway.create(inClusterIPPool, {
    metadata: { name: "edge-b", namespace: "default" },
    spec: { addresses: Array.from({ length: 24 }, (_, at) => `10.1.0.${at + 1}`), prefix: 24 },
  });
});
afterEach(() => world.close());

const names = async (side: World["gateway"]) =>
  (await zonesIn(side, "u1")).map((o) => `${o.kind}/${o.metadata.name}`);
const all = [
  "VSphereFailureDomain/u1-a",
  "VSphereFailureDomain/u1-b",
  "VSphereDeploymentZone/u1-a",
  "VSphereDeploymentZone/u1-b",
];

it("each side has zones of its own, before anything there refers to them, and they go with the cluster", async () => {
  await world.want(spec);
  const made: string[] = [];
  const { create } = world.gateway;
  world.gateway.create = (kind, draft) => {
    made.push(kind.kind);
    return create.call(world.gateway, kind, draft) as never;
  };
  await world.untilMilestone("CloudInfrastructureReady");
  expect(await names(world.gateway)).toEqual(all);
  expect(made.lastIndexOf(vsphereDeploymentZone.kind)).toBeLessThan(made.indexOf(cluster.kind));
  expect(made.indexOf(vsphereFailureDomain.kind)).toBeGreaterThan(made.indexOf(vsphereCluster.kind));
  expect(await names(world.workload)).toEqual([]);

  await world.until(
    "zones on the other side",
    async () => (await names(world.workload)).length === all.length,
  );
  expect((await world.spa())?.status?.pivot).toBeUndefined();
  await world.untilState("Running");

  await world.want({ ...spec, action: "Delete", counter: 2 });
  await world.untilGone();
  await world.round(); // their own watch brings it about
  expect(await names(world.gateway)).toEqual([]);
});

it("zones that outlived their cluster by a restart are taken away; those of others stay", async () => {
  const zone = (name: string, uid: string) => ({
    metadata: { name, labels: { "jet.pcg.dev/cluster-uid": uid } },
    spec: { failureDomain: name },
  });
  await world.gateway.create(vsphereDeploymentZone, zone("u1-a", "u1"));
  await world.gateway.create(vsphereDeploymentZone, zone("u2-a", "u2"));
  await world.round();
  expect((await world.gateway.list(vsphereDeploymentZone)).items.map((o) => o.metadata.name)).toEqual([
    "u2-a",
  ]);
});

it("two places of one name, or of which only one has static addresses, are mistakes", () => {
  const [a, b] = spec.controlPlane.failureDomains!;
  const wrong = wish({
    controlPlane: {
      failureDomains: [a!, { ...b!, name: a!.name, placement: { ...b!.placement, staticIp: false } }],
    },
    network: { endpoint: { type: "External", host: "10.0.0.9" } },
  });
  expect(specProblems(wrong)).toEqual([
    { field: "controlPlane.failureDomains[1].name", message: '"a" is the name of another failure domain' },
    { field: "controlPlane.failureDomains", message: "static addresses in all of them, or in none" },
  ]);
});

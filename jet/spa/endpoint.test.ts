import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { spa, type Spa } from "#proto";
import { wish, World } from "../testing/world.ts";
import { goesBefore } from "./observe-endpoint.ts";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

const at = (host: string) => wish({ network: { endpoint: { type: "VIP", host } } });

describe("an address for the API that somebody has already", () => {
  it("is told by who answers there, and the path goes on when they are gone", async () => {
    await world.prepare();
    world.knobs.answering.add("10.0.0.99:6443");
    await world.want(at("10.0.0.99"));
    await world.untilState("Error");
    expect((await world.spa())?.status?.lastError).toMatchObject({
      code: "Invalid",
      message:
        "network.endpoint.host: somebody answers at 10.0.0.99:6443 already; choose another address, or end what answers there",
    });
    world.knobs.answering.clear();
    await world.untilState("Running");
  });

  it("is told where it comes from the pool, too", async () => {
    await world.prepare();
    world.knobs.answering.add("10.0.0.10:6443");
    await world.want();
    await world.untilState("Error");
    expect((await world.spa())?.status?.lastError?.message).toMatch(
      /^placement\.ipPoolRef: somebody answers at 10\.0\.0\.10:6443 already; take it out of the pool/,
    );
  });

  it("is told by the name of the cluster that has it", async () => {
    await world.prepare();
    await world.gateway.create(spa, {
      metadata: { name: "first", namespace: "default" },
      spec: { ...at("10.0.0.99"), clusterUid: "u0", clusterName: "first" },
    });
    await world.clock.advance(1_000);
    await world.want(at("10.0.0.99"));
    await world.untilState("Error");
    expect((await world.spa())?.status?.lastError?.message).toBe(
      'network.endpoint.host: 10.0.0.99 is the address of cluster "first" already; choose another address',
    );
    await world.gateway.delete(spa, { namespace: "default", name: "first" });
    await world.untilState("Running");
  });

  it("does not hold up a cluster that has it itself", async () => {
    await world.prepare();
    await world.want(at("10.0.0.99"));
    await world.untilMilestone("CloudInfrastructureReady");
    world.knobs.answering.add("10.0.0.99:6443");
    await world.untilState("Running");
  });
});

describe("of two clusters that want one address", () => {
  const one = (name: string, created: string, more: Partial<Spa["spec"]> = {}, built = false) =>
    ({
      metadata: { name, uid: name, creationTimestamp: created },
      spec: { ...at("10.0.0.99"), ...more },
      status: built ? { milestones: [{ key: "CloudInfrastructureReady", state: "Done" }] } : {},
    }) as unknown as Spa;
  const external = (port: number) => ({
    network: { ...wish().network, endpoint: { type: "External" as const, host: "10.0.0.99", port } },
  });
  const endpoint = { host: "10.0.0.99", port: 6443 };

  it.each<[string, Spa, Spa, boolean]>([
    ["the older has it", one("a", "1"), one("b", "2"), true],
    ["the younger has not", one("b", "2"), one("a", "1"), false],
    ["one that is being built has it, whatever its age", one("b", "2", {}, true), one("a", "1"), true],
    [
      "ports of one load balancer are two",
      one("a", "1", external(6444)),
      one("b", "2", external(6443)),
      false,
    ],
    [
      "a port of one load balancer is one",
      one("a", "1", external(6443)),
      one("b", "2", external(6443)),
      true,
    ],
    ["a virtual address has no second port", one("a", "1", external(6444)), one("b", "2"), true],
  ])("%s", (_name, other, own, expected) => {
    expect(goesBefore(other, own, endpoint)).toBe(expected);
  });
});

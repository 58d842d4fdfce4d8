import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { getCondition, type Resource } from "#core";
import { customResourceDefinition, deployment, namespace, spectroCluster } from "#proto";
import { crdOf } from "#proto/generate-crds.ts";
import type { JetDeps, ProviderSource } from "../ports.ts";
import { defaultImages, plainProviders } from "../providers.ts";
import { World } from "../testing/world.ts";

/** Providers that do what a test says. */
class Played implements ProviderSource {
  readonly #plain = plainProviders(defaultImages);
  readonly deployments = this.#plain.deployments;
  crds: string[] = [];
  version = "1";
  renewAt: number | undefined;
  silence: string | undefined;
  release = "Providers 1";
  refusal: string | undefined;
  installed = 0;

  digest(): string {
    return this.version;
  }
  async install(...args: Parameters<ProviderSource["install"]>) {
    this.installed++;
    await this.#plain.install(...args);
    return { renewAt: this.renewAt };
  }
  refuses(installed: string) {
    return installed === this.release ? undefined : this.refusal;
  }
  silent() {
    return Promise.resolve(this.silence);
  }
}

class PlayedWorld extends World {
  readonly providers = new Played();
  crds: Resource[] = [];
  override deps(): JetDeps {
    return { ...super.deps(), providers: this.providers, crds: () => this.crds };
  }
}

let world: PlayedWorld;
beforeEach(async () => {
  world = new PlayedWorld();
  await world.prepare();
});
afterEach(() => world.close());

const rounds = async (count: number) => {
  for (let at = 0; at < count; at++) {
    const after = await world.round();
    await world.play();
    await world.clock.advance(after ?? 1_000);
  }
};

describe("what runs Cluster API in a workload cluster", () => {
  it("must answer before anything is moved, and what does not is named", async () => {
    world.providers.silence =
      "VSphereVM (infrastructure.cluster.x-k8s.io/v1beta2) cannot be written yet: refused";
    await world.want();
    await world.until("told", async () => {
      const said = getCondition((await world.spa())?.status?.conditions, "ImagePullSecretPropagationDone");
      return said?.reason === "WaitingForWebhooks";
    });
    await rounds(5);
    const waiting = await world.spa();
    expect(waiting?.status?.pivot).toBeUndefined();
    const said = getCondition(waiting?.status?.conditions, "ImagePullSecretPropagationDone");
    expect(said).toMatchObject({ status: "False", message: world.providers.silence });
    world.providers.silence = undefined;
    await world.untilState("Running");
  });

  it("brings CRDs that Jet then leaves alone; Jet writes the others", async () => {
    const [own, theirs] = [spectroCluster, namespace].map((kind) => crdOf(kind) as unknown as Resource);
    world.crds = [own!, theirs!];
    world.providers.crds = [theirs!.metadata.name];
    world.restart();
    await world.want();
    await world.untilState("Running");
    const there = (await world.workload.list(customResourceDefinition)).items.map((o) => o.metadata.name);
    expect(there).toEqual([own!.metadata.name]);
  });

  it("is written once, and again only for another version or when its certificate is due", async () => {
    world.providers.renewAt = world.clock.now() + 240 * 86_400_000;
    await world.want();
    await world.untilState("Running");
    await rounds(5);
    expect(world.providers.installed).toBe(1);

    world.providers.version = "2";
    await rounds(5);
    expect(world.providers.installed).toBe(2);

    await world.clock.advance(241 * 86_400_000);
    world.providers.renewAt = world.clock.now() + 240 * 86_400_000;
    await rounds(5);
    expect(world.providers.installed).toBe(3);
    expect((await world.spa())?.status?.state).toBe("Running");
  });

  it("is not replaced by an older one, and that is said until it may be", async () => {
    await world.want();
    await world.untilState("Running");
    const said = async () => getCondition((await world.spa())?.status?.conditions, "ProvidersReady");
    await world.until("told", async () => (await said())?.status === "True");
    expect(await said()).toMatchObject({ reason: "Available", message: "Providers 1" });
    Object.assign(world.providers, {
      version: "0",
      release: "Providers 0",
      refusal: "newer than this gateway",
    });
    await rounds(5);
    expect(world.providers.installed).toBe(1);
    expect(await said()).toMatchObject({
      status: "False",
      reason: "NotUpgraded",
      message: "newer than this gateway",
    });
    expect((await world.spa())?.status?.state).toBe("Running");
    Object.assign(world.providers, { version: "2", release: "Providers 2", refusal: undefined });
    await rounds(5);
    expect(world.providers.installed).toBe(2);
    expect(await said()).toMatchObject({ status: "True", message: "Providers 2" });
  });

  it("that does not come up in another version is named", async () => {
    await world.want();
    await world.untilState("Running");
    const at = world.providers.deployments[0]!;
    const have = (await world.workload.get(deployment, at))!;
    await world.workload.updateStatus(deployment, { ...have, status: { availableReplicas: 0 } });
    world.knobs.podsRun = false;
    await rounds(3);
    const said = getCondition((await world.spa())?.status?.conditions, "ProvidersReady");
    expect(said).toMatchObject({ status: "False", reason: "WaitingForDeployments" });
    expect(said?.message).toContain(`${at.namespace}/${at.name}`);
  });

  it("is not written again while management goes back", async () => {
    await world.want();
    await world.untilState("Running");
    world.providers.version = "2";
    const spec = (await world.spa())!.spec;
    await world.want({ ...spec, action: "Delete", counter: spec.counter + 1 });
    await world.untilGone();
    expect(world.providers.installed).toBe(1);
  });

  it("gets its replicas back when somebody changed them, with the next version", async () => {
    await world.want();
    await world.untilState("Running");
    const at = world.providers.deployments[0]!;
    const have = (await world.workload.get(deployment, at))!;
    await world.workload.update(deployment, { ...have, spec: { ...have.spec, replicas: 0 } });
    world.providers.version = "2";
    await rounds(3);
    expect((await world.workload.get(deployment, at))?.spec.replicas).toBe(1);
  });
});

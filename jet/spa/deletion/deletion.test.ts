// Deletion from every state, with everything in the way that may be: each cell of the table is a small world of its own, and each ends
// with a census of zero. What a cell is called is where the cluster stood, and what was in the way.
import { describe, expect, it } from "vitest";
import { Fault, type OwnedStore, type Resource } from "#core";
import { deployment, inClusterIPPool, secret, spa, type Spa } from "#proto";
import { modify } from "../../ensure.ts";
import { pivotSteps, type Direction } from "../../pivot/journal.ts";
import type { Mirrored } from "../../ports.ts";
import { defaultImages, providerNamespace } from "../../providers.ts";
import { crashing, Doom } from "../../testing/crashing-store.ts";
import { randomFrom } from "../../testing/random.ts";
import { wish, World, type SpecInput } from "../../testing/world.ts";

const doomed = ["RollBack", "Done"];
const steps = pivotSteps.filter((step) => !doomed.includes(step));

/** Where the cluster stands when it is to go. */
interface Stand {
  readonly name: string;
  reach(world: World): Promise<void>;
}

/** What is in the way. */
interface Blocker {
  readonly name: string;
  /** Before the deletion is asked for. */
  readonly before?: (world: World) => Promise<void> | void;
  readonly policy?: SpecInput["deletePolicy"];
  /** What a person does about it, 20 s later. */
  readonly mend?: (world: World) => Promise<void> | void;
  /** What DeletionBlocked says of it where the cluster ran. */
  readonly says?: RegExp;
  /** Not everything can be proved: what is left is told instead. */
  readonly unproved?: true;
}

const after = (milestone: string): Stand => ({
  name: `after ${milestone}`,
  reach: (world) => world.untilMilestone(milestone),
});

const running: Stand = {
  name: "running, with workers",
  async reach(world) {
    await world.untilState("Running");
    await world.addWorkers();
  },
};

const milestones: readonly Stand[] = [
  { name: "just asked for", reach: () => Promise.resolve() },
  after("ImageResolutionDone"),
  after("CloudInfrastructureReady"),
  after("BootstrappingDone"),
  after("KubeConfigReady"),
  after("ImagePullSecretPropagationDone"),
  after("PivotCompleted"),
  running,
];

/** The process dies when the journal has come to a step. */
const midPivot = (direction: Direction, step: string): Stand => ({
  name: `in the pivot ${direction} at ${step}`,
  async reach(world) {
    if (direction === "ToGateway") {
      await running.reach(world);
      await world.want(wish({ action: "Delete", counter: 2 }));
    }
    const isThere = (object: Spa) =>
      object.status?.pivot?.direction === direction && object.status.pivot.step === step;
    let dead = false;
    const dying = (store: OwnedStore): OwnedStore =>
      dyingWhen(
        store,
        () => dead,
        (object) => {
          dead ||= object.kind === spa.kind && isThere(object as Spa);
        },
      );
    world.jetStore = dying(world.gateway as OwnedStore);
    world.wrapWorkload = dying;
    world.restart();
    for (let at = 0; at < 60 && !dead; at++) {
      await world.round().catch(() => {});
      await world.play();
      await world.clock.advance(1_000);
    }
    expect(dead, `the journal came to ${step}`).toBe(true);
    world.jetStore = world.gateway;
    world.wrapWorkload = (store) => store;
    world.restart();
  },
});

/** A process that dies as soon as it has written something that `look` does not survive. */
function dyingWhen(store: OwnedStore, dead: () => boolean, look: (object: Resource) => void): OwnedStore {
  const alive = () => {
    if (dead()) throw new Fault("Cancelled", "the process is dead");
  };
  const write = async <T extends Resource | undefined>(work: () => Promise<T>): Promise<T> => {
    alive();
    const done = await work();
    if (done) look(done);
    alive();
    return done;
  };
  return {
    get: async (...args) => (alive(), store.get(...args)),
    list: async (...args) => (alive(), store.list(...args)),
    create: (...args) => write(() => store.create(...args)),
    update: (...args) => write(() => store.update(...args)),
    updateStatus: (...args) => write(() => store.updateStatus(...args)),
    delete: (...args) => write(() => store.delete(...args)),
    watch: (...args) => store.watch(...args),
    close: () => Promise.resolve(),
  };
}

async function remove(store: OwnedStore, kind: typeof deployment, namespace: string, name: string) {
  await store.delete(kind, { namespace, name }).catch(() => {});
}

const account = { namespace: "pcg-system", name: "lab" };
const none: Blocker = { name: "nothing" };
const deadApi: Blocker = {
  name: "a dead API",
  before: (world) => void (world.knobs.workloadUp = false),
  says: /API does not answer.*3 of its VMs.*--force/s,
};
const cut: Blocker = {
  name: "a line that is cut for ever, while the cluster lives on and heals itself",
  before: (world) => void (world.knobs.cut = true),
};
const forcedDead: Blocker = { name: "a dead API, forced", before: deadApi.before!, policy: "Force" };
const blockers: readonly Blocker[] = [
  none,
  deadApi,
  forcedDead,
  cut,
  { ...cut, name: `${cut.name}; forced`, policy: "Force" },
  {
    name: "a line that is cut for a moment",
    before: (world) => void (world.knobs.cut = true),
    mend: (world) => void (world.knobs.cut = false),
  },
  {
    name: "a vCenter that is away for a while",
    before: (world) => void (world.knobs.vcenterUp = false),
    mend: (world) => void (world.knobs.vcenterUp = true),
    says: /VSphereVM.*vCenter is unreachable/,
  },
  {
    name: "a vCenter that is away for a while, forced",
    before: (world) => void (world.knobs.vcenterUp = false),
    mend: (world) => void (world.knobs.vcenterUp = true),
    policy: "Force",
  },
  {
    name: "a vCenter that is away for ever, forced",
    before: (world) => void (world.knobs.vcenterUp = false),
    policy: "Force",
    unproved: true,
  },
  {
    name: "a provider that is missing in the cluster",
    before: (world) => remove(world.workload, deployment, providerNamespace, defaultImages.infrastructure),
  },
  {
    name: "providers that do not run in the cluster, forced",
    async before(world) {
      world.knobs.podsRun = false;
      for (const { metadata } of (await world.workload.list(deployment)).items)
        await modify(world.workload, deployment, metadata, (o) => ({ ...o, status: {} }), "status");
    },
    policy: "Force",
  },
  {
    name: "providers that do not run in the cluster for a while",
    async before(world) {
      world.knobs.podsRun = false;
      for (const { metadata } of (await world.workload.list(deployment)).items)
        await modify(world.workload, deployment, metadata, (o) => ({ ...o, status: {} }), "status");
    },
    mend: (world) => void (world.knobs.podsRun = true),
    says: /Deployment\/.*does not run.*--force/,
  },
  {
    name: "an agent that is gone",
    before: (world) => remove(world.workload, deployment, "cluster-u1", "cluster-management-agent"),
  },
  {
    name: "pools that are gone",
    async before(world) {
      await world.gateway.delete(inClusterIPPool, { namespace: "default", name: "edge" });
      const child = { namespace: "cluster-u1", name: "c1" };
      for (const store of [world.gateway, world.workload])
        await store.delete(inClusterIPPool, child).catch(() => {});
    },
  },
  {
    name: "a credential that is missing for a while",
    before: (world) => world.gateway.delete(secret, account).then(() => {}),
    mend: (world) => world.setPassword("right"),
    says: /Secret pcg-system\/lab does not exist/,
  },
  {
    name: "a password that is wrong for a while",
    before: (world) => void (world.knobs.password = "changed"),
    mend: (world) => world.setPassword("changed"),
    says: /VSphereVM.*incorrect user name or password.*correct Secret lab/,
  },
  { name: "nothing, and is forced", policy: "Force" },
];

/** From the wish to its end. Answers with what DeletionBlocked said on the way. */
async function takeDown(world: World, stand: Stand, blocker: Blocker): Promise<Set<string>> {
  await world.prepare();
  await world.want();
  await stand.reach(world);
  await blocker.before?.(world);
  await world.want(
    wish({ action: "Delete", counter: 3, ...(blocker.policy ? { deletePolicy: blocker.policy } : {}) }),
  );
  const said = new Set<string>();
  const mendAt = world.clock.now() + 20_000;
  let mended = false;
  const isOver = async () => {
    const object = await world.spa();
    const blocked = object?.status?.conditions?.find((c) => c.type === "DeletionBlocked");
    if (blocked?.status === "True") said.add(blocked.message);
    if (!mended && world.clock.now() >= mendAt) {
      mended = true;
      await blocker.mend?.(world);
    }
    return object === undefined;
  };
  await world.until("gone", isOver, 400);
  return said;
}

async function expectZero(world: World): Promise<void> {
  await world.clock.advance(1_000);
  expect(await world.residue()).toEqual([]);
  expect(world.statuses.at(-1)).toMatchObject({ state: "Deleted", clusterUid: "u1" });
  expect(world.events.at(-1)).toMatchObject({ reason: "Deleted" });
}

/** Nothing is left but VMs that nobody could ask about, their addresses, and the word of it. */
async function expectTold(world: World): Promise<void> {
  const left = await world.residue();
  expect(left.filter((what) => !/^(VM|IPAddressClaim)\//.test(what))).toEqual([]);
  const { message } = world.events.at(-1)!;
  for (const what of left) expect(message).toContain(what.slice(what.indexOf("/") + 1));
}

describe("a deletion leaves nothing behind", () => {
  async function run(stand: Stand, blocker: Blocker) {
    const world = new World();
    const said = await takeDown(world, stand, blocker);
    await (blocker.unproved ? expectTold : expectZero)(world);
    if (stand === running && blocker.says) expect([...said].join("\n")).toMatch(blocker.says);
    await world.close();
  }

  const atMilestones = milestones.flatMap((stand) => blockers.map((blocker) => [stand, blocker] as const));
  const inPivot = (["ToWorkload", "ToGateway"] as const).flatMap((direction) =>
    steps.flatMap((step, at) =>
      [deadApi, [none, forcedDead, cut][at % 3]!].map(
        (blocker) => [midPivot(direction, step), blocker] as const,
      ),
    ),
  );
  for (const [stand, blocker] of [...atMilestones, ...inPivot]) {
    it(`${stand.name}, with ${blocker.name} in the way`, () => run(stand, blocker));
  }

  it("and takes the control plane of a cluster that it cannot reach first, so that nothing is healed meanwhile", async () => {
    const world = new World();
    await takeDown(world, running, cut);
    expect(world.dc.destroyed[0]).toMatch(/^c1-cp/);
    expect(world.dc.made).toBe(3);
    await world.close();
  });

  it("and finds a machine that was made after the line was cut, by its name and its address", async () => {
    const world = new World();
    await takeDown(world, running, {
      name: "a worker that was replaced unseen, and a stranger's machine",
      async before({ knobs, dc }) {
        knobs.cut = true;
        dc.destroy("c1-w-s-m0");
        await world.play();
        expect([...dc.vms.keys()]).toContain("c1-w-s-m0-again");
        dc.clone("c1-elsewhere", "10.9.9.9");
      },
    });
    expect([...world.dc.vms.keys()]).toEqual(["c1-elsewhere"]);
    await world.close();
  });

  it("and knows from the mirror of a dead cluster what nobody had told the gateway", async () => {
    const world = new World();
    const forgotten: string[] = [];
    await takeDown(world, running, {
      name: "a dead API",
      async before({ knobs, dc }) {
        knobs.workloadUp = false;
        const biosUUID = dc.clone("renamed-by-hand");
        const vm = { kind: "VSphereVM", metadata: { name: "c1-w-s-m7" }, spec: { biosUUID } };
        world.mirrors = {
          latest: () => Promise.resolve({ objects: [vm] } as unknown as Mirrored),
          about: () => Promise.resolve(undefined),
          keep: () => Promise.resolve(),
          clusters: () => Promise.resolve(["u1"]),
          forget: (uid) => Promise.resolve(void forgotten.push(uid)),
          isForgotten: () => Promise.resolve(false),
        };
        world.restart();
      },
    });
    expect([...world.dc.vms.keys()]).toEqual([]);
    expect(forgotten).toEqual(["u1"]);
    await world.close();
  });
});

// Everything at once: the process dies before random writes, lines are cut and mended, vCenter comes and goes, somebody insists or not;
// in the end the world is well again, or its API is dead for ever. PCG_SEED runs one again,
// PCG_RUNS more of them.
describe("a deletion in a restless world", () => {
  const seeds = process.env["PCG_SEED"] ? [Number(process.env["PCG_SEED"])] : newSeeds();
  it.each(seeds)("leaves nothing behind (seed %d)", async (seed) => {
    const random = randomFrom(seed);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
    const world = new World();
    await world.prepare();
    await world.want();
    await pick(milestones).reach(world);
    const forced = random() < 0.3;
    await world.want(
      wish({ action: "Delete", counter: 2, deletePolicy: forced && random() < 0.5 ? "Force" : "Graceful" }),
    );
    for (let life = 0; life < 4 && (await world.spa()); life++) {
      const doom = new Doom(1 + Math.floor(random() * 12));
      world.jetStore = crashing(world.gateway, doom);
      world.wrapWorkload = (store) => crashing(store, doom);
      world.restart();
      for (let round = 0; round < 8 && !doom.dead; round++) {
        if (random() < 0.2) world.knobs.cut = !world.knobs.cut;
        if (random() < 0.1) world.knobs.vcenterUp = !world.knobs.vcenterUp;
        const after = await world.round().catch(() => 1_000);
        await world.play();
        await world.clock.advance(Math.min(after ?? 1_000, 20_000));
      }
      if (forced && life === 2)
        await world.want(wish({ action: "Delete", counter: 3, deletePolicy: "Force" }));
    }
    world.jetStore = world.gateway;
    world.wrapWorkload = (store) => store;
    world.restart();
    world.knobs.vcenterUp = true;
    world.knobs.cut = false;
    if (random() < 0.5) world.knobs.workloadUp = false;
    await world.until("gone", async () => (await world.spa()) === undefined, 400);
    if (world.events.at(-1)?.severity === "Warn") await expectTold(world);
    else await expectZero(world);
    await world.close();
  });
});

function newSeeds(): number[] {
  const count = Number(process.env["PCG_RUNS"] ?? 40);
  const base = Math.floor(Math.random() * 1_000_000_000);
  return Array.from({ length: count }, (_, at) => base + at);
}

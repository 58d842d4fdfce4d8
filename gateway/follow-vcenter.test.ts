import { beforeEach, describe, expect, it } from "vitest";
import { Fault, Secret, silentLogger, type OwnedStore } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { secret, spa, spaSpecSchema } from "#proto";
import { accountSecret, cloudOf, keepAccount, systemNamespace, type VcenterAccount } from "./account.ts";
import { followAccount, followServer, judge, words } from "./follow-vcenter.ts";

const account: VcenterAccount = {
  server: "vc.test",
  username: "u",
  password: new Secret("p"),
  thumbprint: "AA:BB",
};
const clock = fakeClock();
const never = new AbortController().signal;
let store: OwnedStore;

beforeEach(async () => {
  store = memoryStore({ clock });
  await keepAccount(store, account);
});

async function cluster(name: string, cloud = cloudOf(account)): Promise<void> {
  const placement = { datacenter: "DC0", computeCluster: "C0", networkName: "VM Network" };
  const spec = spaSpecSchema.parse({
    clusterUid: name,
    clusterName: name,
    cloud,
    placement,
    kubernetesVersion: "v1.35.4",
    agent: { planeUrl: "https://plane" },
  });
  await store.create(spa, { metadata: { namespace: `cluster-${name}`, name }, spec });
}

const cloud = async (name: string) =>
  (await store.get(spa, { namespace: `cluster-${name}`, name }))?.spec.cloud;
const noted = async () =>
  (await store.get(secret, { namespace: systemNamespace, name: accountSecret }))?.metadata.annotations;
const follow = (to: VcenterAccount, instance: () => Promise<string | undefined>, signal = never) =>
  followServer({ store, clock, log: silentLogger, random: () => 0.5, instance }, to, signal);
const uuid = (text: string) => () => Promise.resolve(text);

it.each([
  ["the first", undefined, "same"],
  ["the one that is known", { server: "vc", instance: "1" }, "same"],
  ["the known one under another name", { server: "old", instance: "1" }, "renamed"],
  ["another under the known name", { server: "vc", instance: "2" }, "replaced"],
  ["another under another name", { server: "old", instance: "2" }, "another"],
])("a vCenter is %s", (_what, known, kind) => {
  expect(judge(known, "vc", "1").kind).toBe(kind);
});

describe("clusters of the gateway's account", () => {
  it("follow a corrected certificate at once, and those of another account do not (V1)", async () => {
    await cluster("ours");
    await cluster("theirs", { ...cloudOf(account), credentialRef: { name: "other" } });
    await cluster("elsewhere", { ...cloudOf(account), server: "vc2.test" });
    const corrected = { ...account, thumbprint: "CC:DD" };
    expect(await followAccount(store, corrected)).toBe(1);
    expect(await followAccount(store, corrected)).toBe(0);
    expect(await cloud("ours")).toMatchObject({ thumbprint: "CC:DD" });
    expect(await cloud("theirs")).toMatchObject({ thumbprint: "AA:BB" });
    expect(await cloud("elsewhere")).toMatchObject({ thumbprint: "AA:BB", server: "vc2.test" });
  });

  it("follow from a certificate to an authority: what was pinned is pinned no more", async () => {
    await cluster("ours");
    const { thumbprint: _, ...rest } = account;
    await followAccount(store, { ...rest, ca: "PEM" });
    expect(await cloud("ours")).toMatchObject({ caCert: "PEM" });
    expect(await cloud("ours")).not.toHaveProperty("thumbprint");
  });

  it("follow the same vCenter to its new name, and to no other vCenter (V2)", async () => {
    await follow(account, uuid("1"));
    expect(await noted()).toEqual({ [words.server]: "vc.test", [words.instance]: "1" });
    await cluster("ours");
    const other = { ...account, server: "vc9.test", thumbprint: "99" };
    await keepAccount(store, other); // as a start does
    await follow(other, uuid("2"));
    expect(await cloud("ours")).toEqual(cloudOf(account));
    expect(await noted()).toMatchObject({ [words.server]: "vc.test" });
    const renamed = { ...account, server: "vcenter.test", thumbprint: "CC:DD" };
    await follow(renamed, uuid("1"));
    expect(await cloud("ours")).toEqual(cloudOf(renamed));
    expect(await noted()).toMatchObject({ [words.server]: "vcenter.test", [words.instance]: "1" });
  });

  it("with none left at the old vCenter, the new one is the one", async () => {
    await follow(account, uuid("1"));
    await follow({ ...account, server: "vc9.test" }, uuid("2"));
    expect(await noted()).toMatchObject({ [words.server]: "vc9.test", [words.instance]: "2" });
  });

  it("wait for a vCenter that does not answer, and for no longer than the gateway runs", async () => {
    await follow(account, uuid("1"));
    await cluster("ours");
    const renamed = { ...account, server: "vcenter.test" };
    let asked = 0;
    const late = () =>
      ++asked < 3 ? Promise.reject(new Fault("Unavailable", "connection refused")) : Promise.resolve("1");
    const following = follow(renamed, late);
    let done = false;
    void following.then(() => (done = true));
    while (!done) await clock.advance(60_000);
    expect(asked).toBe(3);
    expect(await cloud("ours")).toMatchObject({ server: "vcenter.test" });
    const stop = new AbortController();
    const waiting = follow(
      { ...account, server: "vc10.test" },
      () => Promise.reject(new Fault("Unavailable", "down")),
      stop.signal,
    );
    stop.abort();
    await waiting;
  });
});

import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "#core";
import { makeAuthority, type KeyPair } from "#core/net/authority.ts";
import { encode64, kubeadmControlPlane, secret, secretText, type SecretObject } from "#proto";
import { wish, World } from "../testing/world.ts";
import { accessIn } from "./observe-etcd.ts";

const external = wish({
  controlPlane: {
    replicas: 3,
    etcd: { type: "external", endpoints: ["https://10.0.0.5:2379"], secretRef: { name: "lab-etcd" } },
  },
});

let ca: string;
let client: KeyPair;
let other: KeyPair;
beforeAll(async () => {
  const authority = await makeAuthority("etcd", systemClock);
  ca = authority.certificate;
  client = await authority.issue({ name: "apiserver-etcd-client" });
  other = await authority.issue({ name: "other" });
});

const dataOf = (parts: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(parts).map(([key, text]) => [key, encode64(text)]));
const good = () => ({ "ca.crt": ca, "tls.crt": client.certificate, "tls.key": client.key.reveal() });

describe("the Secret of an external etcd", () => {
  const judge = (parts: Readonly<Record<string, string>>, now = Date.now()) =>
    accessIn(
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata: {} as never,
        type: "Opaque",
        data: dataOf(parts),
      } as SecretObject,
      "Secret pcg-system/lab-etcd",
      now,
    ).problems.map(({ message }) => message);

  it("gives what is in it", () => {
    expect(judge(good())).toEqual([]);
  });

  it.each<[string, () => string[], string[]]>([
    [
      "is not there",
      () => accessIn(undefined, "Secret pcg-system/lab-etcd", 0).problems.map(({ message }) => message),
      ["Secret pcg-system/lab-etcd does not exist; create it with ca.crt, tls.crt and tls.key"],
    ],
    ["lacks keys", () => judge({ "ca.crt": ca }), ["Secret pcg-system/lab-etcd lacks tls.crt and tls.key"]],
    [
      "holds another key",
      () => judge({ ...good(), "tls.key": other.key.reveal() }),
      ["Secret pcg-system/lab-etcd: tls.key is not the key of tls.crt"],
    ],
    [
      "holds no certificate",
      () => judge({ ...good(), "ca.crt": "CA" }),
      ["Secret pcg-system/lab-etcd: ca.crt is no certificate in PEM"],
    ],
    [
      "has run out",
      () => judge(good(), Date.now() + 400 * 86_400_000),
      [
        expect.stringContaining("ca.crt expired on") as string,
        expect.stringContaining("tls.crt expired on") as string,
      ],
    ],
  ])("that %s is a mistake told in full", (_name, found, expected) => {
    expect(found()).toEqual(expected);
  });

  it("never shows its key", () => {
    const { access } = accessIn({ data: dataOf(good()) } as unknown as SecretObject, "Secret", Date.now());
    expect(JSON.stringify(access)).not.toContain(encode64(client.key.reveal()).slice(0, 40));
  });
});

describe("a cluster with an etcd of the site", () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.close());

  const keepSecret = (data: Readonly<Record<string, string>>) =>
    world.gateway.create(secret, {
      metadata: { name: "lab-etcd", namespace: "pcg-system" },
      type: "Opaque",
      data,
    });

  it("waits for its Secret, says which, and goes on when it is there", async () => {
    await world.prepare(10);
    await world.want(external);
    await world.untilState("Error");
    const blocked = await world.spa();
    expect(blocked?.status?.lastError?.message).toBe(
      "controlPlane.etcd.secretRef.name: Secret pcg-system/lab-etcd does not exist; create it with ca.crt, tls.crt and tls.key",
    );
    await keepSecret(dataOf(good()));
    await world.untilState("Running");
  });

  it("gives Cluster API the Secrets before the control plane that needs them, and they move with it", async () => {
    await world.prepare(10);
    await keepSecret(dataOf(good()));
    await world.want(external);
    const made: string[] = [];
    const { create } = world.gateway;
    world.gateway.create = (kind, draft) => {
      made.push(`${kind.kind}/${draft.metadata.name ?? ""}`);
      return create.call(world.gateway, kind, draft) as never;
    };
    await world.untilMilestone("CloudInfrastructureReady");
    const at = (name: string) => made.indexOf(name);
    expect(at("Secret/c1-etcd")).toBeGreaterThan(-1);
    expect(at("Secret/c1-etcd")).toBeLessThan(at("KubeadmControlPlane/c1-cp"));
    expect(at("Secret/c1-apiserver-etcd-client")).toBeLessThan(at("KubeadmControlPlane/c1-cp"));
    expect(at("KubeadmControlPlane/c1-cp")).toBeLessThan(at("Cluster/c1"));
    const [plane] = (await world.gateway.list(kubeadmControlPlane)).items;
    expect(plane?.spec.kubeadmConfigSpec).toMatchObject({
      clusterConfiguration: { etcd: { external: { endpoints: ["https://10.0.0.5:2379"] } } },
    });
    await world.untilState("Running");
    const moved = await world.workload.get(secret, {
      namespace: "cluster-u1",
      name: "c1-apiserver-etcd-client",
    });
    expect(secretText(moved, "tls.crt")).toBe(client.certificate);
    expect(await world.gateway.get(secret, { namespace: "cluster-u1", name: "c1-etcd" })).toBeUndefined();
    expect(JSON.stringify([world.statuses, world.events])).not.toContain(
      encode64(client.key.reveal()).slice(0, 40),
    );
  });

  it("hands a renewed client certificate on, to whichever side has the cluster", async () => {
    await world.prepare(10);
    await keepSecret(dataOf(good()));
    await world.want(external);
    const renew = async (by: KeyPair) => {
      const key = { namespace: "pcg-system", name: "lab-etcd" };
      const parts = { "ca.crt": ca, "tls.crt": by.certificate, "tls.key": by.key.reveal() };
      await world.gateway.update(secret, { ...(await world.gateway.get(secret, key))!, data: dataOf(parts) });
    };
    const shown = async (side: World["gateway"]) =>
      secretText(
        await side.get(secret, { namespace: "cluster-u1", name: "c1-apiserver-etcd-client" }),
        "tls.crt",
      );
    await world.untilMilestone("CloudInfrastructureReady");
    await renew(other);
    await world.until("renewed here", async () => (await shown(world.gateway)) === other.certificate);
    await world.untilState("Running");
    await renew(client);
    await world.until("renewed there", async () => (await shown(world.workload)) === client.certificate);
  });

  it("leaves nothing of it behind when it is deleted", async () => {
    await world.prepare(10);
    await keepSecret(dataOf(good()));
    await world.want(external);
    await world.untilState("Running");
    await world.want({ ...external, action: "Delete", counter: 2 });
    await world.untilGone();
    expect(await world.residue()).toEqual([]);
  });
});

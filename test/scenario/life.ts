// The product's main job as a suite for any site: from a request at the plane to a cluster that manages itself, through the mistakes
// that people make, and back to nothing. It knows of no sandbox: life.test.ts runs it there, test/peers on the real programs.
//
// The sample that a site applies names its cluster "shop-1" (three control planes, two workers) and its pool "nodes" in namespace
// "default", with one range of addresses.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Secret } from "#core";
import { modify } from "#core/store/helpers.ts";
import { cluster, clusterApiKinds, encode64, ipAddressClaim, secret, spa, type Spa } from "#proto";
import { words } from "#proto/render/names.ts";
import type { ClusterStatusBody, PlaneClient } from "#plane";
import { expectNothingLeft, takeCensus, type Census, type CensusSite } from "./census.ts";
import { until, untilState } from "./until.ts";

export type { LifeVm } from "./census.ts";

/** What the life of a cluster needs of the place where it is lived. */
export interface LifeSite extends CensusSite {
  readonly client: PlaneClient;
  /** What every address of the sample's pool begins with: "127.77.0.". */
  readonly prefix: string;
  /** Log lines of all programs. */
  readonly lines: readonly string[];
  /** The password that vCenter wants at the start. */
  readonly password: Secret;
  readonly knobs: {
    /** Takes the nodes' template out of Jet's sight, or puts it back. */
    showTemplate(there: boolean): Promise<void>;
    /** From now on vCenter wants this password; the sessions of before are over. */
    setPassword(password: Secret): Promise<void>;
  };
  /** Pairs the gateway, and waits until the plane knows its vCenter account. */
  pairUp(): Promise<void>;
  /** Applies the sample's documents after `change`, as `pcg apply` does. The cluster's uid. */
  apply(change?: (text: string) => string): Promise<string>;
  close(): Promise<void>;
}

/** How long things may take, milliseconds. */
export interface LifeTimes {
  readonly startMs: number;
  readonly runningMs: number;
  readonly deletedMs: number;
  /** Until a mistake is told, or a mended one forgotten. */
  readonly sayMs: number;
}

export interface LifeOptions<S> {
  readonly times: LifeTimes;
  /** A password to change to. */
  readonly otherPassword: Secret;
  /** The site's own tests (calls of `it`), while the first cluster runs. */
  readonly whileRunning?: (site: () => S) => void;
  /** The same when nothing is left of any cluster. */
  readonly afterwards?: (site: () => S) => void;
}

const account = { namespace: "pcg-system", name: "vcenter" };

/** Conditions that say what is in the way: "True" is the bad news. */
const bad = new Set(["RemediationBlocked", "AdoptionRequired", "DeletionBlocked"]);

export function lifeScenario<S extends LifeSite>(
  name: string,
  open: () => Promise<S>,
  options: LifeOptions<S>,
): void {
  const { times } = options;
  const wholeMs = times.startMs + 2 * (times.runningMs + times.deletedMs) + 10 * times.sayMs;

  describe(name, { timeout: wholeMs }, () => {
    let site: S;
    let before: Census;
    const here = () => site;
    beforeAll(async () => {
      site = await open();
      before = await takeCensus(site);
      await site.pairUp();
    }, times.startMs);
    afterAll(() => site?.close(), times.startMs);

    const theSpa = async (uid: string): Promise<Spa | undefined> =>
      (await site.store.list(spa, { namespace: `cluster-${uid}` })).items[0];
    const machinesOf = async (clusterName: string) =>
      (await site.census()).filter((vm) => vm.name.startsWith(clusterName) && !before.vms.includes(vm.name));

    async function untilRunning(uid: string): Promise<ClusterStatusBody> {
      return untilState(site.client, uid, "Running", times.runningMs).catch((error: Error) => {
        throw new Error([error.message, "the last words:", ...site.lines.slice(-60)].join("\n"));
      });
    }

    describe("a cluster", () => {
      let uid: string;
      let running: ClusterStatusBody;

      it("that is asked for at the plane comes to run, and to manage itself", async () => {
        uid = await site.apply();
        running = await untilRunning(uid);
        expect(running.pivoted).toBe(true);
      });

      it("has every milestone behind it, and no condition that is not well", () => {
        expect(running.milestones.map((m) => [m.title, m.state])).toEqual(
          running.milestones.map((m) => [m.title, "Done"]),
        );
        expect(running.milestones.length).toBeGreaterThanOrEqual(8);
        const unwell = running.conditions.filter((c) => c.status !== (bad.has(c.type) ? "False" : "True"));
        expect(unwell).toEqual([]);
      });

      it("has three control-plane and two worker machines, on hosts, with distinct addresses of the pool", () => {
        const roles = running.machines.map((m) => m.role).sort();
        expect(roles).toEqual(["control-plane", "control-plane", "control-plane", "worker", "worker"]);
        const addresses = running.machines.map((m) => m.ip ?? "");
        expect(new Set(addresses).size).toBe(5);
        for (const address of addresses) expect(address.startsWith(site.prefix), address).toBe(true);
        for (const machine of running.machines) expect(machine.host).toBeTruthy();
      });

      it("has exactly its machines' VMs in vCenter, by name, BIOS UUID and address", async () => {
        const facts = (one: { name: string; biosUUID?: string | undefined }, ip: string | undefined) =>
          `${one.name} ${one.biosUUID?.toLowerCase()} ${ip}`;
        expect((await machinesOf("shop-1")).map((vm) => facts(vm, vm.ipAddress)).sort()).toEqual(
          running.machines.map((machine) => facts(machine, machine.ip)).sort(),
        );
      });

      it("left none of its Cluster API objects and none of its credentials on the gateway", async () => {
        const within = { namespace: `cluster-${uid}` };
        const { items } = await site.store.list(secret, within);
        const withPassword = items.filter((s) => "password" in ((s as { data?: object }).data ?? {}));
        expect(withPassword.map((s) => s.metadata.name)).toEqual([]);
        for (const kind of clusterApiKinds) {
          expect(
            (await site.store.list(kind, within)).items.map((o) => `${o.kind}/${o.metadata.name}`),
          ).toEqual([]);
        }
      });

      it("told the plane its story: events in order, each once", async () => {
        const { items } = await site.client.clusterEvents(uid, { limit: 500 });
        const sequences = items.map((event) => event.sequence);
        expect(sequences.length).toBeGreaterThan(5);
        expect([...sequences].sort((a, b) => b - a)).toEqual(sequences);
        expect(new Set(items.map((event) => event.metadata.uid)).size).toBe(items.length);
      });

      options.whileRunning?.(here);

      it("leaves nothing behind when it is deleted", async () => {
        await site.client.deleteCluster(uid);
        await untilState(site.client, uid, "Deleted", times.deletedMs);
        await expectNothingLeft(site, before, times.sayMs);
      });
    });

    describe("a cluster whose people make mistakes", () => {
      let uid: string;
      let identity: string | undefined;
      const named = (text: string) =>
        text
          .replaceAll("shop-1", "shop-2")
          .replace(/size: 3/, "size: 1")
          .replace(/size: 2/, "size: 1");
      const toldAt = async (condition: string) =>
        (await theSpa(uid))?.status?.conditions?.find((c) => c.type === condition);

      /** The same words in a condition of the SPA (in this one, where named), and in the plane's API. */
      async function saysEverywhere(said: RegExp, condition?: string): Promise<void> {
        await until(
          `a condition of the SPA says ${said}`,
          async () =>
            ((await theSpa(uid))?.status?.conditions ?? []).some(
              (c) => c.type === (condition ?? c.type) && c.status === "False" && said.test(c.message),
            ),
          times.sayMs,
        );
        await until(
          `the plane says ${said}`,
          async () => {
            const { conditions, milestones } = await site.client.clusterStatus(uid);
            const texts = [
              ...conditions.map((c) => c.message),
              ...milestones.map((m) => m.lastError?.message),
            ];
            return texts.some((text) => text !== undefined && said.test(text));
          },
          times.sayMs,
        );
      }

      it("a pool that is too small is told with the count that is missing; it is extended, and the cluster goes on", async () => {
        await site.knobs.showTemplate(false);
        uid = await site.apply((text) => named(withFourAddresses(text)));
        await until("the order has arrived", async () => (await theSpa(uid)) !== undefined, times.sayMs);
        identity = (await theSpa(uid))?.metadata.uid;
        await saysEverywhere(/nodes.*\d/s, "SpecValid");
        expect(await site.apply(named)).toBe(uid);
        await until(
          "the pool is well",
          async () => (await toldAt("SpecValid"))?.status === "True",
          times.sayMs,
        );
      });

      it("a template that is missing is told with its version; it is imported, and the cluster goes on", async () => {
        await saysEverywhere(/no template/, "ImageResolutionDone");
        await site.knobs.showTemplate(true);
        await until(
          "the template is found",
          async () => (await toldAt("ImageResolutionDone"))?.status === "True",
          times.sayMs,
        );
      });

      it("a password that changes while machines are made is told as such; it is corrected, and the cluster goes on", async () => {
        await until(
          "machines are being made",
          async () => (await site.store.list(cluster, { namespace: `cluster-${uid}` })).items.length > 0,
          times.sayMs,
        );
        await site.knobs.setPassword(options.otherPassword);
        await saysEverywhere(/user ?name|password|log ?in|credential/i);
        const password = encode64(options.otherPassword.reveal());
        await modify(site.store, secret, account, (object) => ({
          ...object,
          data: { ...object.data, password },
        }));
      });

      it("it runs without having started over: the same SPA, the same addresses, each machine made once", async () => {
        const leases = await leasesOf(uid);
        const running = await untilRunning(uid);
        expect(running.machines.length).toBe(2);
        expect((await theSpa(uid))?.metadata.uid).toBe(identity);
        expect(await leasesOf(uid)).toEqual(leases);
        expect((await machinesOf("shop-2")).map((vm) => vm.name).sort()).toEqual(
          running.machines.map((machine) => machine.name).sort(),
        );
      });

      it("it leaves nothing behind when it is deleted", async () => {
        await site.client.deleteCluster(uid);
        await untilState(site.client, uid, "Deleted", times.deletedMs);
        await expectNothingLeft(site, before, times.sayMs);
      });

      async function leasesOf(clusterUid: string): Promise<string[]> {
        const labels = [{ key: words.clusterUid, op: "=" as const, value: clusterUid }];
        const { items } = await site.store.list(ipAddressClaim, { labels });
        return items.map((c) => `${c.metadata.uid} ${c.status?.addressRef?.name}`).sort();
      }
    });

    it("no program ever said a password", () => {
      const passwords = [site.password, options.otherPassword].map((one) => one.reveal());
      const forms = passwords.flatMap((text) => [text, encode64(text)]);
      expect(site.lines.filter((line) => forms.some((form) => line.includes(form)))).toEqual([]);
    });

    options.afterwards?.(here);
  });
}

/** The sample with its pool's range cut down to the first four addresses. */
function withFourAddresses(text: string): string {
  return text.replace(
    /^(\s*- )([\d.]+\.)(\d+)-[\d.]+$/m,
    (_, dash: string, net: string, first: string) => `${dash}${net}${first}-${net}${Number(first) + 3}`,
  );
}

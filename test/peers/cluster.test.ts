// The product's main job on the real programs: the same life of a cluster as in the sandbox (test/scenario/life.ts), with the embedded
// control plane's etcd, kube-apiserver, Cluster API and CAPV, vcsim, and a real API server for each cluster.
import { expect, it } from "vitest";
import { Secret } from "#core";
import { lifeScenario } from "../scenario/life.ts";
import { until } from "../scenario/until.ts";
import { openReal } from "./site/real-life.ts";

lifeScenario("life on the real programs", openReal, {
  times: { startMs: 180_000, runningMs: 240_000, deletedMs: 180_000, sayMs: 90_000 },
  otherPassword: new Secret("An0ther-never-said"),

  whileRunning(life) {
    it("has a Node for each machine in the cluster's own API", async () => {
      const [workload] = life().site.machines.workloads();
      const { node } = await import("#proto");
      expect((await workload!.store.list(node)).items.length).toBe(5);
    });
  },

  afterwards(life) {
    it("no API of a workload cluster answers any more, and the site's etcd holds nothing of one", async () => {
      const { machines, etcd } = life().site;
      await until("no API is left", async () => machines.workloads().length === 0);
      expect(await etcd.count()).toBe(0);
    });
  },
});

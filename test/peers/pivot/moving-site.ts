// A real site whose gateway is a process of its own, to be stopped, killed and started again, with one small cluster to be moved there
// and back. In mode external the gateway's control plane runs on while the gateway is dead, behind a line that can be cut; in mode
// embedded the two are one thing, as in the appliance. A line lies before the cluster's API in both.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { kubeconfigPathIn, openBundle, startControlPlane } from "#controlplane";
import { silentLogger, systemClock, type OwnedStore, type ResourceStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { applyDocuments, readDocuments } from "../../../cli/commands/apply.ts";
import { endings } from "../../../cli/site.ts";
import { childGateway, type ChildGateway } from "../../scenario/children.ts";
import { testDeps } from "../../scenario/site.ts";
import { until, untilState } from "../../scenario/until.ts";
import { openLine, type Line } from "../harness/line.ts";
import { keepEtcdSecret, samplePath, startSurroundings, type Surroundings } from "../site/real-site.ts";

export interface MovingSite extends Omit<Surroundings, "close"> {
  /** Of its one cluster. */
  readonly uid: string;
  readonly clusterName: string;
  readonly gateway: ChildGateway;
  /** The folder of all its parts. */
  readonly dir: string;
  /** What `pcg` needs to find both sides, the gateway's API over the line. */
  readonly contextPath: string;
  /** The gateway's API, past the line. */
  readonly store: OwnedStore;
  /** The cluster's API, past the line. */
  readonly workload: ResourceStore;
  /** What lies between the gateway and its API; absent in mode embedded. */
  readonly gatewayLine?: Line;
  /** What lies between the cluster's API and all who are not in the cluster. */
  workloadLine(): Line;
  /** The API server of a side dies and comes back; resolves when it answers again. Not the gateway's in mode embedded. */
  restartApi(side: "gateway" | "workload"): Promise<void>;
  /** Where the cluster's API listens. */
  readonly endpoint: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

export interface MovingSiteOptions {
  /** An empty folder. */
  readonly dir: string;
  readonly mode: "external" | "embedded";
  /** Between the order at the plane and a cluster that runs, milliseconds. */
  readonly runningMs: number;
  /** Called when the order lies at the plane, before the cluster runs: whoever wants to see its first hand-over. */
  readonly ordered?: (site: Pick<MovingSite, "uid" | "store" | "gateway">) => Promise<void>;
}

/** Starts it, and resolves when its cluster runs and manages itself. Close it in any case. */
export async function startMovingSite(options: MovingSiteOptions): Promise<MovingSite> {
  const { dir, mode, runningMs } = options;
  const ending = endings();
  try {
    const around = ending.own(
      await startSurroundings(testDeps([]), { dataDir: dir, line: true }, new AbortController().signal),
    );
    const { client, machines, programs, sample, etcd } = around;
    const { pairingCode } = await client.pairingCode();
    const api =
      mode === "external" ? ending.own(await startApi(join(dir, "control-plane"), programs)) : undefined;
    const gateway = await childGateway(dir, {
      ...around.settings,
      plane: { ...around.settings.plane, pairingCode, heartbeat: "1s" },
      controlPlane: { mode, programs, ...(api ? { kubeconfig: api.kubeconfigPath } : {}) },
      jet: { quiet: "300ms", watch: "1s" },
    });
    ending.own({ close: () => gateway.kill() });
    await gateway.start();
    const kubeconfig = api?.kubeconfigPath ?? kubeconfigPathIn(join(dir, "gateway", "control-plane"));
    const store =
      api?.store ?? ending.own(await kubeStore(readFileSync(kubeconfig, "utf8"), { clock: systemClock }));
    const contextPath = join(dir, "context.yaml");
    writeFileSync(contextPath, stringify({ gateway: { kubeconfig } }));
    await keepEtcdSecret(store, etcd);
    await until("the plane knows the vCenter account", async () => (await client.accounts()).length > 0);

    const sides = { plane: async () => client, gateway: async () => store };
    let uid = "";
    for await (const applied of applyDocuments(readDocuments(small(sample), samplePath), sides))
      uid = applied.clusterUid ?? uid;
    await options.ordered?.({ uid, store, gateway });
    await untilState(client, uid, "Running", runningMs).catch((error: Error) => {
      throw new Error([error.message, "the gateway's last words:", ...gateway.lines.slice(-40)].join("\n"));
    });
    const [workload] = machines.workloads();
    const { endpoint } = workload!;
    return {
      ...around,
      uid,
      clusterName: "shop-1",
      gateway,
      dir,
      contextPath,
      store,
      workload: workload!.store,
      ...(api ? { gatewayLine: api.line } : {}),
      workloadLine: () => machines.api(endpoint)!.line!,
      async restartApi(side) {
        if (side === "gateway") return api!.restart();
        const own = machines.api(endpoint)!;
        await own.stop();
        await own.start();
      },
      endpoint,
      close: ending.close,
    };
  } catch (error) {
    await ending.close();
    throw error;
  }
}

/** One control plane and one worker: both kinds of owner that would make machines. */
function small(sample: string): string {
  return sample.replace(/size: 3/, "size: 1").replace(/size: 2/, "size: 1");
}

/** The control plane of mode external, and the kubeconfig by which a gateway reaches it over a line. */
async function startApi(dir: string, programs: string) {
  mkdirSync(dir, { recursive: true });
  const deps = { clock: systemClock, log: silentLogger, random: Math.random };
  const options = { dataDir: dir, bundle: await openBundle(programs), fsync: false };
  const ending = endings();
  const controlPlane = ending.own(await startControlPlane(options, deps, new AbortController().signal));
  const { server, kubeconfig } = controlPlane;
  const theServer = async () => (await controlPlane.status()).find(({ name }) => name === "kube-apiserver");
  try {
    const line = ending.own(await openLine({ host: "127.0.0.1", port: Number(new URL(server).port) }));
    const store = ending.own(await kubeStore(kubeconfig, { clock: systemClock }));
    const kubeconfigPath = join(dir, "by-line.kubeconfig");
    const text = kubeconfig.replaceAll(server, `https://127.0.0.1:${line.port}`);
    writeFileSync(kubeconfigPath, text, { mode: 0o600 });
    /** Its supervisor starts another. */
    const restart = async () => {
      const pid = (await theServer())?.pid;
      if (pid === undefined) throw new Error("the API server does not run");
      process.kill(pid, "SIGKILL");
      await until("another API server is ready", async () => {
        const now = await theServer();
        return now?.state === "ready" && now.pid !== pid;
      });
    };
    return { store, line, kubeconfigPath, restart, close: ending.close };
  } catch (error) {
    await ending.close();
    throw error;
  }
}

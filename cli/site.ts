// A whole site in one process: plane, simulated datacenter, gateway, paired by a code. For the demo and for scenario tests.
// Each part is started through its own door, and they talk over real sockets: nothing here knows a short cut.
import { join } from "node:path";
import { readFile } from "node:fs/promises";
import { Secret, type Clock, type Logger } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { load, mistakesFault } from "#core/options/index.ts";
import { gatewayOptions, runAgent, startGateway, type RunningGateway } from "#gateway";
import { openGrpcHub, planeClient, startPlane, type Plane, type PlaneClient } from "#plane";
import { startDatacenter, type Datacenter } from "#sandbox";

export interface SiteDeps {
  readonly clock: Clock;
  readonly log: (part: "plane" | "gateway" | "sandbox") => Logger;
  readonly random: () => number;
  readonly version: string;
  readonly memory: () => number;
}

export interface SiteOptions {
  /** Each part has a folder of its own in it. */
  readonly dataDir: string;
  /** Settings of the gateway over the site's own, as in gateway.yaml. */
  readonly gateway?: Readonly<Record<string, unknown>>;
  /** The account that the simulated vCenter knows and the gateway uses. */
  readonly account?: typeof sandboxAccount;
}

export interface Site {
  readonly plane: Plane;
  readonly client: PlaneClient;
  readonly apiKey: Secret;
  readonly datacenter: Datacenter;
  readonly gateway: RunningGateway;
  close(): Promise<void>;
}

export const sandboxAccount = { username: "administrator@vsphere.local", password: new Secret("sandbox") };

export async function startSite(deps: SiteDeps, options: SiteOptions, signal: AbortSignal): Promise<Site> {
  const account = options.account ?? sandboxAccount;
  const ending = endings();
  try {
    const side = ending.own(await startPlaneSide(deps, join(options.dataDir, "plane"), signal));
    const datacenter = ending.own(
      await startSandbox(deps, {
        dataDir: join(options.dataDir, "sandbox"),
        listen: "127.0.0.1:0",
        account,
      }),
    );
    const gateway = ending.own(
      await startGatewaySide(
        deps,
        {
          name: "demo",
          dataDir: join(options.dataDir, "gateway"),
          plane: { url: side.plane.url },
          vcenter: {
            server: datacenter.vcenter.server,
            username: account.username,
            password: account.password.reveal(),
            thumbprint: datacenter.vcenter.thumbprint,
          },
          api: { listen: "127.0.0.1:0" },
          ...options.gateway,
        },
        signal,
      ),
    );
    ending.own({ close: await attach(datacenter, gateway.kubeconfigPath ?? "", deps) });
    const { plane, client, apiKey } = side;
    return { plane, client, apiKey, datacenter, gateway, close: ending.close };
  } catch (error) {
    await ending.close();
    throw error;
  }
}

/** What was started, so that it can be ended: the newest first. */
export function endings(): {
  own<T extends { close(): Promise<unknown> }>(thing: T): T;
  close(): Promise<void>;
} {
  const owned: { close(): Promise<unknown> }[] = [];
  return {
    own(thing) {
      owned.push(thing);
      return thing;
    },
    async close() {
      for (const each of owned.splice(0).reverse()) await each.close().catch(() => {});
    },
  };
}

export interface PlaneSide extends Pick<Site, "plane" | "client" | "apiKey"> {
  close(): Promise<void>;
}

/** A plane on loopback with a client of it. */
export async function startPlaneSide(
  deps: SiteDeps,
  dataDir: string,
  signal: AbortSignal,
): Promise<PlaneSide> {
  const { clock, random } = deps;
  const ending = endings();
  try {
    const plane = ending.own(
      await startPlane(
        {
          dataDir,
          listen: { host: "127.0.0.1", port: 0 },
          tunnelListen: { host: "127.0.0.1", port: 0 },
          version: deps.version,
        },
        { clock, log: deps.log("plane"), random, openHub: openGrpcHub },
        signal,
      ),
    );
    const apiKey = plane.apiKey ?? (await plane.newApiKey("site"));
    const client = planeClient({ url: plane.url, ca: plane.caPem, apiKey });
    ending.own({ close: async () => client.close() });
    return { plane, client, apiKey, close: ending.close };
  } catch (error) {
    await ending.close();
    throw error;
  }
}

/** A gateway in this process, by settings as gateway.yaml has them. */
export function startGatewaySide(
  deps: SiteDeps,
  settings: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<RunningGateway> {
  const { clock, random, version, memory } = deps;
  const loaded = load(gatewayOptions, { file: { path: "the demo's settings", value: settings } });
  if (loaded.kind === "mistakes") throw mistakesFault(loaded.problems);
  return startGateway(loaded.value, { clock, log: deps.log("gateway"), random, version, memory }, signal);
}

/** The simulated datacenter, with our real agent among the programs that workload clusters may run. */
export function startSandbox(
  deps: Pick<SiteDeps, "clock" | "log" | "random" | "version">,
  options: { readonly dataDir: string; readonly listen: string; readonly account?: typeof sandboxAccount },
): Promise<Datacenter> {
  const { clock, random, version } = deps;
  const log = deps.log("sandbox");
  return startDatacenter({
    clock,
    log,
    random,
    listen: options.listen,
    ...(options.account ?? sandboxAccount),
    dataDir: options.dataDir,
    programs: {
      "pcg-agent": (pod, signal) =>
        runAgent(
          {
            store: pod.store,
            env: pod.env,
            files: pod.files["pcg-agent"] ?? {},
            dataDir: join(options.dataDir, "pods", pod.namespace, pod.name),
          },
          { clock, log: log.child({ program: "pcg-agent", cluster: pod.namespace }), random, version },
          signal,
        ),
    },
  });
}

/** Sets the simulated Cluster API controllers to work on the gateway's API, as a kubeconfig reaches it. Answers with the way to end them. */
export async function attach(
  datacenter: Datacenter,
  kubeconfigPath: string,
  deps: Pick<SiteDeps, "clock">,
): Promise<() => Promise<void>> {
  const store = await kubeStore(await readFile(kubeconfigPath, "utf8"), { clock: deps.clock });
  const managed = datacenter.manage(store);
  return async () => {
    await managed.stop();
    await store.close();
  };
}

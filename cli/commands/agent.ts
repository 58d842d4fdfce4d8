// pcg agent: what the image pcg-agent runs in a workload cluster. Its pod tells it everything; there is nothing to configure.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { runAgent } from "#gateway";
import type { World } from "../world.ts";

/** Where Kubernetes puts a pod's own credentials. */
const serviceAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount";

interface AgentPaths {
  readonly serviceAccount: string;
  /** The mounted Secret pcg-agent. */
  readonly secret: string;
  /** Survives the pod. */
  readonly data: string;
}

const usualPaths: AgentPaths = {
  serviceAccount: serviceAccountDir,
  secret: "/etc/pcg-agent",
  data: "/var/lib/pcg-agent",
};

/** As in a pod, unless told: outside a container, the folders stand elsewhere. */
function pathsFrom(env: World["env"]): AgentPaths {
  return {
    serviceAccount: env["PCG_POD_SERVICE_ACCOUNT_DIR"] ?? usualPaths.serviceAccount,
    secret: env["PCG_POD_SECRET_DIR"] ?? usualPaths.secret,
    data: env["PCG_POD_DATA_DIR"] ?? usualPaths.data,
  };
}

/** Runs until the signal aborts. Invalid outside a pod. */
export async function agent(world: World): Promise<void> {
  const paths = pathsFrom(world.env);
  const host = world.env["KUBERNETES_SERVICE_HOST"];
  const port = world.env["KUBERNETES_SERVICE_PORT"] ?? "443";
  if (!host)
    throw new Fault(
      "Invalid",
      "pcg agent runs in a pod of a workload cluster; KUBERNETES_SERVICE_HOST is not set here",
    );
  const store = await kubeStore(
    {
      server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
      ca: await readFile(join(paths.serviceAccount, "ca.crt"), "utf8"),
      token: async () => (await readFile(join(paths.serviceAccount, "token"), "utf8")).trim(), // the kubelet renews it
    },
    { clock: world.clock },
  );
  try {
    await runAgent(
      { store, env: world.env, files: await filesIn(paths.secret), dataDir: paths.data },
      { clock: world.clock, log: world.logAt("info"), random: world.random, version: world.version },
      world.signal,
    );
  } finally {
    await store.close();
  }
}

/** A mounted Secret: file name to content. */
export async function filesIn(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith(".."));
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), "utf8")] as const)),
  );
}

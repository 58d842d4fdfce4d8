// The program in a workload cluster: the agent, the cluster's own IPAM for its child pool, and a line to the plane of its own.
import { join } from "node:path";
import {
  runControllers,
  Secret,
  sleep,
  backoffDelay,
  Fault,
  isFault,
  type Clock,
  type Logger,
  type ResourceStore,
} from "#core";
import { startAgent } from "#agent";
import { ipamControllers } from "#ipam";
import { applyObject } from "#core/store/helpers.ts";
import {
  desiredClusterTopic,
  encode64,
  mirrorWantedSchema,
  mirrorWantedTopic,
  secret,
  secretText,
} from "#proto";
import { words } from "#proto/render/names.ts";
import {
  enrolAgent,
  identityFile,
  loadIdentity,
  readSecretFile,
  verifyDesired,
  writeSecretFile,
} from "#tunnel/identity/index.ts";
import { closer } from "./closer.ts";
import { openLine } from "./link.ts";
import { linkOutlet } from "./outlet.ts";

/** What the program gets of its pod. */
export interface AgentPod {
  /** The cluster's own API. */
  readonly store: ResourceStore;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The files of the mounted Secret pcg-agent: planeUrl, planeCa, enrolmentToken, signingKey. */
  readonly files: Readonly<Record<string, string | undefined>>;
  /** Outlives the pod. */
  readonly dataDir: string;
}

export interface AgentProgramDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly version: string;
}

/** Runs until the signal aborts; resolves when everything has stopped. Throws Invalid when the pod lacks what it needs. */
export async function runAgent(pod: AgentPod, deps: AgentProgramDeps, outer: AbortSignal): Promise<void> {
  const { store, dataDir } = pod;
  const { clock, log, random, version } = deps;
  const clusterUid = needed(pod.env, "PCG_CLUSTER_UID");
  const namespace = needed(pod.env, "PCG_NAMESPACE");
  const ending = closer(outer, log);
  const { signal } = ending;
  try {
    const outlet = linkOutlet(() => line.link());
    const agent = startAgent(
      {
        store,
        clock,
        log,
        random,
        outlet: { ...outlet, heartbeat: (beat) => outlet.heartbeat(clusterUid, beat) },
      },
      { clusterUid, namespace, version },
      signal,
    );
    const line = openLine(
      { clock, log: log.child({ component: "link" }), random },
      {
        dataDir,
        handlers: {
          [desiredClusterTopic]: async (message) => {
            const signingKey = line.identity()?.signingKey ?? pod.files["signingKey"];
            if (!signingKey) throw new Fault("Unavailable", "the plane's signing key is not known yet");
            try {
              await agent.accept(message.body, (document) => verifyDesired(document, signingKey));
            } catch (error) {
              if (!isFault(error, "Invalid", "Unauthorized")) throw error;
              log.error("desired state refused", { key: message.key, error }); // another try would not change it
            }
          },
          [mirrorWantedTopic]: async (message) => {
            const { success, data } = mirrorWantedSchema.safeParse(message.body);
            if (success) agent.mirrorWanted(data.have[clusterUid]);
          },
        },
        onIdentity: () => ending.wait(keepIdentity(pod, namespace, clusterUid)),
      },
      signal,
    );
    ending.own(line);
    ending.wait(agent.stopped);
    const running = runControllers(
      { store, clock, log, random },
      ipamControllers({ store, clock, log }),
      signal,
    );
    ending.wait(running.stopped);
    ending.wait(
      (async () => {
        await restoreIdentity(pod, namespace, log);
        await enrolUntilDone(pod, deps, signal);
        await line.refresh();
      })(),
    );
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  } finally {
    await ending.close();
  }
}

/** Gets an identity from the plane by the one-time token; a plane that is away is waited for, the cluster does not depend on it. */
async function enrolUntilDone(
  pod: AgentPod,
  { clock, log, random }: AgentProgramDeps,
  signal: AbortSignal,
): Promise<void> {
  const { planeUrl, planeCa, enrolmentToken } = pod.files;
  for (let attempt = 1; !signal.aborted; attempt++) {
    if (await loadIdentity(pod.dataDir)) return;
    if (!planeUrl || !enrolmentToken) {
      log.warn("no enrolment token: the agent works without a line to the plane", {
        path: join(pod.dataDir, "identity.json"),
      });
      return;
    }
    try {
      await enrolAgent({
        planeUrl,
        ca: planeCa,
        enrolmentToken: new Secret(enrolmentToken),
        dataDir: pod.dataDir,
        clock,
        log,
        signal,
      });
      return;
    } catch (error) {
      const retryMs = backoffDelay(attempt, { baseMs: 1_000, capMs: 300_000, jitter: 1 }, random);
      if (!signal.aborted)
        log.warn("enrolment at the plane failed; trying again", { attempt, retryMs, error });
      await sleep(clock, retryMs, signal).catch(() => {});
    }
  }
}

/** In the cluster's namespace; it stays there when the cluster's objects move. */
const identitySecretName = "pcg-agent-identity";

/** The token was good once: a pod that begins on another node finds the identity in the cluster itself. */
async function restoreIdentity({ store, dataDir }: AgentPod, namespace: string, log: Logger): Promise<void> {
  if (await readSecretFile(identityFile(dataDir))) return;
  const kept = secretText(await store.get(secret, { namespace, name: identitySecretName }), "identity");
  if (!kept) return;
  await writeSecretFile(identityFile(dataDir), kept);
  log.info("found the identity of an earlier pod", { secret: identitySecretName });
}

async function keepIdentity(
  { store, dataDir }: AgentPod,
  namespace: string,
  clusterUid: string,
): Promise<void> {
  const text = await readSecretFile(identityFile(dataDir));
  if (!text) return;
  const labels = { [words.clusterUid]: clusterUid, [words.stays]: "true" };
  const metadata = { name: identitySecretName, namespace, labels };
  await applyObject(store, secret, { metadata, type: "Opaque", data: { identity: encode64(text) } });
}

function needed(env: AgentPod["env"], name: string): string {
  const value = env[name];
  if (!value) throw new Fault("Invalid", `the environment variable ${name} is missing in the agent's pod`);
  return value;
}

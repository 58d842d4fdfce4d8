// The door of agent: the cluster-management agent of a workload cluster.
import { runControllers } from "#core";
import { signedDocumentSchema, type DesiredCluster, type SignedDocument } from "#proto";
import { acceptDesired, type Acceptance } from "./accept.ts";
import { agentController } from "./controller.ts";
import { keepBeating } from "./heartbeat.ts";
import { keepMirroring } from "./mirror.ts";
import type { AgentDeps, AgentOptions } from "./ports.ts";

export type { AgentDeps, AgentOptions, AgentOutlet } from "./ports.ts";
export type { Acceptance } from "./accept.ts";

/** Opens a signed document; throws where the signature does not hold. */
export type Verify = (document: SignedDocument) => DesiredCluster;

export interface RunningAgent {
  /** Resolves when it follows its cluster; rejects with Cancelled when stopped before. */
  readonly ready: Promise<void>;
  /** Resolves after abort, when nothing of it runs any more. */
  readonly stopped: Promise<void>;
  /**
   * Takes a signed desired document of the plane in. Rejects with what `verify` throws; with Invalid for what is no document;
   * with Unavailable while the cluster cannot keep it yet.
   */
  accept(document: unknown, verify: Verify): Promise<Acceptance>;
  /** The gateway told which copy of the cluster it has (a digest), or that it has none. */
  mirrorWanted(have: string | undefined): void;
}

/** Runs until the signal aborts. It may start before its CRDs are there: it waits for them. */
export function startAgent(deps: AgentDeps, options: AgentOptions, signal: AbortSignal): RunningAgent {
  const { store, clock, log, random } = deps;
  const running = runControllers({ store, clock, log, random }, [agentController(deps, options)], signal);
  const beating = keepBeating(deps, options, signal);
  const mirroring = keepMirroring(deps, options, signal);
  return {
    ready: running.ready,
    stopped: Promise.all([running.stopped, beating, mirroring.stopped]).then(() => {}),
    async accept(document, verify) {
      const signed = signedDocumentSchema.parse(document);
      return acceptDesired(deps, options, verify(signed), signed.signature);
    },
    mirrorWanted: mirroring.wanted,
  };
}

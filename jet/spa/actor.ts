// Who acts, and how an action says that it must wait.
import { Fault, type ResourceStore } from "#core";
import type { EventRing } from "../events.ts";
import type { AgentTrust, ImageSource, JetDeps, ProviderSource } from "../ports.ts";
import type { SpaSeen } from "./seen.ts";

export interface Actor {
  readonly deps: JetDeps;
  readonly events: EventRing;
  readonly providers: ProviderSource;
  readonly agentImage: string;
  /** Of all that is installed in a workload cluster, with images from there. */
  readonly digest: (images: ImageSource) => string;
  readonly trust: (clusterUid: string) => AgentTrust;
  readonly quietMs: number;
  readonly watchMs: number;
  readonly lostMs: number;
}

/** Thrown by an action that must wait for something else; not a failure of ours. */
export class Waiting extends Fault {
  readonly object: string | undefined;
  readonly afterMs: number | undefined;
  readonly reason: string;
  /** True where a person must do something. */
  readonly blocked: boolean;

  constructor(
    reason: string,
    message: string,
    options: {
      object?: string | undefined;
      afterMs?: number | undefined;
      blocked?: boolean | undefined;
    } = {},
  ) {
    super("Busy", message);
    this.reason = reason;
    this.object = options.object;
    this.afterMs = options.afterMs;
    this.blocked = options.blocked ?? false;
  }
}

/** Thrown by an action that something stands in the way of: an object that a person can look at. */
export class Hindered extends Fault {
  /** "VirtualMachine/c1-cp-x". */
  readonly object: string;

  constructor(object: string, fault: Fault) {
    super(fault.code, fault.message, { cause: fault });
    this.object = object;
  }
}

export function workloadOf(seen: SpaSeen): ResourceStore {
  if (seen.workload.kind === "reachable") return seen.workload.store;
  throw new Fault("Unavailable", `the API of cluster ${seen.names.cluster} does not answer`);
}

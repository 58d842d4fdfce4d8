// What the agent needs of the world besides its own cluster's API.
import type { Clock, Logger, ResourceStore } from "#core";
import type { ClusterEvent, ClusterStatus, Heartbeat, MirrorPart } from "#proto";

/** Its way to the plane. Resolves when the message is safe on disk; never waits for the line. */
export interface AgentOutlet {
  status(status: ClusterStatus): Promise<void>;
  event(event: ClusterEvent): Promise<void>;
  heartbeat(beat: Heartbeat): Promise<void>;
  /** A sealed part of the cluster's mirror, for its gateway. Absent: nothing is mirrored. */
  mirror?(part: MirrorPart): Promise<void>;
}

export interface AgentDeps {
  /** The API of the cluster it lives in. */
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1). */
  readonly random: () => number;
  /** Absent: the agent works, and nobody hears of it but its own cluster. */
  readonly outlet?: AgentOutlet;
}

export interface AgentOptions {
  readonly clusterUid: string;
  /** "cluster-<uid>". */
  readonly namespace: string;
  readonly version: string;
  /** Time between heartbeats, milliseconds; 30 000 unless told. */
  readonly heartbeatMs?: number;
  /** Time between looks at what the gateway should have a copy of, milliseconds; 30 000 unless told. */
  readonly mirrorMs?: number;
}

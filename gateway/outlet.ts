// The way to the plane for everything the gateway has to say. Before pairing there is no link and nobody to tell.
import {
  clusterStatusTopic,
  eventTopic,
  heartbeatTopic,
  type ClusterEvent,
  type ClusterStatus,
  type Heartbeat,
} from "#proto";
import type { Link } from "#tunnel";

export interface Outlet {
  /** Resolves when the message is on disk. Without a link it is dropped: without a plane there are no clusters to speak of. */
  status(status: ClusterStatus): Promise<void>;
  event(event: ClusterEvent): Promise<void>;
  heartbeat(key: string, heartbeat: Heartbeat): Promise<void>;
}

/** An outlet over whatever link there is at the time. */
export function linkOutlet(link: () => Link | undefined): Outlet {
  return {
    async status(status) {
      await link()?.publish({
        topic: clusterStatusTopic,
        class: "state",
        key: status.clusterUid,
        body: status,
      });
    },
    async event(event) {
      await link()?.publish({ topic: eventTopic, class: "event", key: event.clusterUid ?? "", body: event });
    },
    async heartbeat(key, heartbeat) {
      await link()?.publish({ topic: heartbeatTopic, class: "state", key, body: heartbeat });
    },
  };
}

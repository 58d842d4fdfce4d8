// The way to the plane for everything the gateway has to say. Before pairing there is no link and nobody to tell.
import {
  clusterStatusTopic,
  eventTopic,
  heartbeatTopic,
  mirrorTopic,
  mirrorWantedTopic,
  type ClusterEvent,
  type ClusterStatus,
  type Heartbeat,
  type MirrorPart,
  type MirrorWanted,
} from "#proto";
import { Fault } from "#core";
import type { Link } from "#tunnel";

export interface Outlet {
  /** Resolves when the message is on disk. Without a link it is dropped: without a plane there are no clusters to speak of. */
  status(status: ClusterStatus): Promise<void>;
  event(event: ClusterEvent): Promise<void>;
  heartbeat(key: string, heartbeat: Heartbeat): Promise<void>;
  /** From an agent. Unavailable without a link: what was dropped must not count as sent. */
  mirror(part: MirrorPart): Promise<void>;
  /** From a gateway: which mirrors it has. Unavailable without a link. */
  mirrorWanted(wanted: MirrorWanted): Promise<void>;
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
    async mirror(part) {
      const key = `${part.clusterUid}/${part.part}`;
      await present(link()).publish({ topic: mirrorTopic, class: "state", key, body: part });
    },
    async mirrorWanted(wanted) {
      await present(link()).publish({
        topic: mirrorWantedTopic,
        class: "state",
        key: "gateway",
        body: wanted,
      });
    },
  };
}

function present(link: Link | undefined): Link {
  if (!link) throw new Fault("Unavailable", "there is no link to the plane yet");
  return link;
}

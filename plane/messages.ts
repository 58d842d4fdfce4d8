// The plane's side of the conversation over the link: desired state down, status, events and heartbeats up.
//
//   M1. What is stored first and sent after is sent in the end: unsent changes are found again at the next start and on a timer.
//   M2. A message that makes no sense, or speaks of another's cluster, is logged and dropped: refusing it would bring it for ever.
//   M3. Handlers may be called twice with the same message.
import { Mutex } from "async-mutex";
import type { z } from "zod";
import { Fault, type Clock, type Database, type Logger } from "#core";
import {
  clusterStatusSchema,
  clusterStatusTopic,
  desiredClusterTopic,
  eventSchema,
  eventTopic,
  heartbeatSchema,
  heartbeatTopic,
} from "#proto/messages.ts";
import { mirrorPartSchema, mirrorTopic, mirrorWantedSchema, mirrorWantedTopic } from "#proto/mirror.ts";
import type { Hub, Message, PeerIdentity } from "#tunnel/link.ts";
import type { Authority } from "./authority.ts";
import type { Clusters } from "./clusters.ts";
import { signDesired } from "./desired.ts";
import type { Events } from "./events.ts";
import type { HealthDesk } from "./health-desk.ts";

export interface MessageDeps {
  readonly hub: Hub;
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly authority: Authority;
  readonly clusters: Clusters;
  readonly events: Events;
  readonly health: HealthDesk;
}

export interface Messages {
  /** Hands unsent changes to the link, of one cluster or of all; what fails is left for the next call. Never throws. */
  flush(clusterUid?: string): Promise<void>;
}

export function speak(deps: MessageDeps): Messages {
  const { hub, db, log, authority, clusters, events, health } = deps;
  const sending = new Mutex();

  const messages: Messages = {
    flush: (clusterUid) =>
      sending.runExclusive(async () => {
        try {
          for (const unsent of await clusters.unsent(clusterUid)) {
            const body = signDesired(unsent.desired, (document) => authority.sign(document));
            await hub.publish(unsent.to, {
              topic: desiredClusterTopic,
              class: "state",
              key: unsent.desired.clusterUid,
              body,
            });
            await clusters.markSent(unsent); // M1
            const { clusterUid: cluster, counter } = unsent.desired;
            log.info("sent desired state", {
              cluster,
              counter,
              to: unsent.to.role,
              peer: unsent.to.uid,
              action: unsent.desired.spec.action,
            });
          }
        } catch (error) {
          log.warn("handing desired state to the link failed; will try again", { error: Fault.from(error) });
        }
      }),
  };

  const on = <T extends z.ZodType>(
    topic: string,
    schema: T,
    take: (from: PeerIdentity, body: z.output<T>) => Promise<void>,
  ) =>
    hub.handle(topic, async (from, message: Message) => {
      const body = schema.safeParse(message.body);
      if (body.success) return take(from, body.data);
      const problems = body.error.issues.map((i) => `${i.path.join(".")}: ${i.message}`);
      log.warn("dropped a message that cannot be read", { topic, role: from.role, peer: from.uid, problems }); // M2
    });

  on(clusterStatusTopic, clusterStatusSchema, async (from, status) => {
    const outcome = await clusters.heard(from, status);
    switch (outcome) {
      case "refused":
        return log.warn("dropped the status of a cluster that is not the sender's", {
          cluster: status.clusterUid,
          role: from.role,
          peer: from.uid,
        });
      case "gone":
        log.info("a cluster is gone", { cluster: status.clusterUid, gateway: from.uid });
        return hub.disconnect({ role: "agent", uid: status.clusterUid });
      case "stored":
        return messages.flush(status.clusterUid); // the pivot may have brought an agent to tell
    }
  });

  on(eventTopic, eventSchema, async (from, event) => {
    const cluster = event.clusterUid ?? (from.role === "agent" ? from.uid : undefined);
    if (cluster !== undefined && !(await clusters.maySpeak(from, cluster))) {
      return log.warn("dropped an event of a cluster that is not the sender's", {
        cluster,
        role: from.role,
        peer: from.uid,
      });
    }
    const subject =
      cluster === undefined
        ? ({ kind: "overlord", uid: from.uid } as const)
        : ({ kind: "spectrocluster", uid: cluster } as const);
    await db.write((tx) => events.add(tx, `${from.role}/${from.uid}`, subject, event));
  });

  on(heartbeatTopic, heartbeatSchema, async (from, beat) => {
    await health.beat({ kind: from.role === "gateway" ? "overlord" : "spectrocluster", uid: from.uid }, beat);
  });

  // A cluster's mirror is for its gateway alone: sealed, and passed on as it came.
  on(mirrorTopic, mirrorPartSchema, async (from, part) => {
    const gateway = from.role === "agent" ? await clusters.gatewayOf(from.uid) : undefined;
    if (gateway === undefined || part.clusterUid !== from.uid) {
      return log.warn("dropped the mirror of a cluster that is not the sender's", {
        cluster: part.clusterUid,
        role: from.role,
        peer: from.uid,
      });
    }
    const key = `${part.clusterUid}/${part.part}`;
    await hub.publish(
      { role: "gateway", uid: gateway },
      { topic: mirrorTopic, class: "state", key, body: part },
    );
  });

  on(mirrorWantedTopic, mirrorWantedSchema, async (from, { have, lost }) => {
    if (from.role !== "gateway") return;
    if (lost) {
      await clusters.resend(from.uid);
      await messages.flush();
    }
    for (const uid of await clusters.agentsOf(from.uid)) {
      const body = { have: uid in have ? { [uid]: have[uid] } : {} };
      await hub.publish({ role: "agent", uid }, { topic: mirrorWantedTopic, class: "state", key: uid, body });
    }
  });

  hub.onGap((from, gap) => {
    const subject = { kind: from.role === "gateway" ? "overlord" : "spectrocluster", uid: from.uid } as const;
    const message = `${gap.count} messages of the ${from.role} were lost: ${gap.reason}`;
    log.warn("a peer gave messages up", {
      role: from.role,
      peer: from.uid,
      count: gap.count,
      reason: gap.reason,
    });
    void db
      .write((tx) => events.say(tx, subject, { severity: "Warn", reason: "MessagesLost", message }))
      .catch((error: unknown) => log.warn("storing an event failed", { error: Fault.from(error) }));
  });

  return messages;
}

// The gateway's side of mirrors: its key, its shelf, and what comes over the link.
import type { Clock, Database, Logger } from "#core";
import type { Seal } from "#core/store/seal.ts";
import type { AgentTrust } from "#jet";
import { mirrorPartSchema } from "#proto";
import type { MessageHandler } from "#tunnel";
import { mirrorKey, mirrorToken } from "./mirror-key.ts";
import { mirrorShelf, type MirrorShelf } from "./mirror-shelf.ts";

export interface MirrorDesk {
  readonly shelf: MirrorShelf;
  /** For the topic mirror.part. What cannot be read is dropped: it would come for ever. */
  readonly handler: MessageHandler;
  /** What a cluster's agent needs to seal for this gateway. */
  trust(clusterUid: string): NonNullable<AgentTrust["mirror"]>;
}

export async function mirrorDesk(deps: {
  readonly dataDir: string;
  readonly seal: Seal;
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told of each mirror that became whole. */
  readonly onWhole?: (clusterUid: string) => Promise<void>;
}): Promise<MirrorDesk> {
  const { dataDir, seal, db, clock, log, onWhole } = deps;
  const key = await mirrorKey(dataDir, seal);
  const shelf = mirrorShelf({ db, key, clock, log });
  return {
    shelf,
    async handler(message) {
      const { success, data } = mirrorPartSchema.safeParse(message.body);
      if (!success) return log.warn("dropped a part of a mirror that cannot be read", { key: message.key });
      if (!(await shelf.take(data))) return;
      log.info("took a mirror", { cluster: data.clusterUid, sequence: data.sequence });
      await onWhole?.(data.clusterUid);
    },
    trust: (clusterUid) => ({ key: key.publicKey, token: mirrorToken(key, clusterUid) }),
  };
}

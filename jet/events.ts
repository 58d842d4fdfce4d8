// The events of a cluster: the last 1000 of each, the same thing said again within ten minutes counted instead of repeated.
//
//   E1. An event has a unique id, made before it is stored; the plane keeps an event once, however often it is told.
//   E2. Stored first, told afterwards; what was stored and not told is told at the next start, in order.
//   E3. A merged event is not told again.
//   E4. Told in order: while an event of a cluster cannot be told, later ones of it wait behind it.
import { formatTime, type Clock } from "#core";
import type { ClusterEvent } from "#proto";
import { masked } from "#proto/render/masked.ts";

export const eventsKept = 1000;
export const mergeWithinMs = 10 * 60_000;

export interface StoredEvent extends ClusterEvent {
  readonly clusterUid: string;
  /** Rises by one within a cluster. */
  readonly sequence: number;
  /** How often it happened, and when last. */
  readonly count: number;
  readonly lastAt: string;
  readonly told: boolean;
}

/** Where events are kept. Writes are durable when they resolve. */
export interface EventShelf {
  /** All events of a cluster, oldest first. */
  load(clusterUid: string): Promise<readonly StoredEvent[]>;
  /** Stores events, each in place of the one with its id. */
  put(events: readonly StoredEvent[]): Promise<void>;
  /** Forgets all events of a cluster up to this sequence. */
  trim(clusterUid: string, upTo: number): Promise<void>;
  /** Events that were stored and not told yet, of all clusters, oldest first. */
  untold(): Promise<readonly StoredEvent[]>;
}

export type EventDraft = Pick<ClusterEvent, "severity" | "reason" | "message"> &
  Partial<Pick<ClusterEvent, "involvedObject" | "milestone" | "attempt" | "component">>;

export interface EventRing {
  /** Says that something happened. Resolves when it is stored; telling the plane comes after that and cannot fail it. */
  say(clusterUid: string, draft: EventDraft): Promise<void>;
  read(clusterUid: string): Promise<readonly StoredEvent[]>;
  /** Tells what an earlier process stored and could not tell (E2). */
  catchUp(): Promise<void>;
}

export interface EventRingDeps {
  readonly shelf: EventShelf;
  readonly tell: (event: ClusterEvent) => Promise<void>;
  readonly clock: Clock;
  readonly random: () => number;
}

export function eventRing({ shelf, tell, clock, random }: EventRingDeps): EventRing {
  const queues = new Map<string, Promise<unknown>>();

  /** One writer a cluster, so that sequences are unique. */
  function inOrder<T>(clusterUid: string, work: () => Promise<T>): Promise<T> {
    const mine = (queues.get(clusterUid) ?? Promise.resolve()).then(work, work);
    const settled = mine.catch(() => {});
    queues.set(clusterUid, settled);
    void settled.then(() => {
      if (queues.get(clusterUid) === settled) queues.delete(clusterUid);
    });
    return mine;
  }

  async function pass(event: StoredEvent): Promise<void> {
    await tell(plain(event));
    await shelf.put([{ ...event, told: true }]);
  }

  /** E4. What cannot be told now is told with the next event, or at the next start (E2). */
  async function passAll(events: readonly StoredEvent[]): Promise<void> {
    try {
      for (const event of events) await pass(event);
    } catch {
      // The outlet's owner logs why; nothing is lost.
    }
  }

  return {
    say: (clusterUid, draft) =>
      inOrder(clusterUid, async () => {
        const have = await shelf.load(clusterUid);
        const now = clock.now();
        const same = have.findLast(
          (old) => isSame(old, draft) && now - Date.parse(old.lastAt) < mergeWithinMs,
        );
        if (same) {
          await shelf.put([{ ...same, count: same.count + 1, lastAt: formatTime(now) }]);
          return;
        }
        const sequence = (have.at(-1)?.sequence ?? 0) + 1;
        const event: StoredEvent = {
          ...draft,
          id: `${clusterUid}-${sequence}-${suffix(random)}`,
          at: formatTime(now),
          clusterUid,
          component: draft.component ?? "jet",
          sequence,
          count: 1,
          lastAt: formatTime(now),
          told: false,
        };
        await shelf.put([event]);
        if (have.length + 1 > eventsKept) await shelf.trim(clusterUid, sequence - eventsKept);
        await passAll([...have.filter((old) => !old.told), event]);
      }),
    read: (clusterUid) => shelf.load(clusterUid),
    async catchUp() {
      const uids = new Set((await shelf.untold()).map((event) => event.clusterUid));
      for (const uid of uids) {
        await inOrder(uid, async () => passAll((await shelf.load(uid)).filter((event) => !event.told)));
      }
    },
  };
}

function suffix(random: () => number): string {
  return Math.floor(random() * 2 ** 32)
    .toString(16)
    .padStart(8, "0");
}

function isSame(old: StoredEvent, draft: EventDraft): boolean {
  return (
    old.reason === draft.reason &&
    old.severity === draft.severity &&
    old.milestone === draft.milestone &&
    old.involvedObject?.kind === draft.involvedObject?.kind &&
    old.involvedObject?.name === draft.involvedObject?.name &&
    masked(old.message) === masked(draft.message)
  );
}

/** The event as it goes over the wire. */
function plain({ sequence: _s, count: _c, lastAt: _l, told: _t, ...event }: StoredEvent): ClusterEvent {
  return event;
}

/** Events in memory; gone with the process. */
export function memoryEventShelf(): EventShelf {
  const byCluster = new Map<string, Map<string, StoredEvent>>();
  const all = (clusterUid: string) => [...(byCluster.get(clusterUid)?.values() ?? [])];
  return {
    load: (clusterUid) => Promise.resolve(all(clusterUid)),
    put(events) {
      for (const event of events) {
        const list = byCluster.get(event.clusterUid) ?? new Map<string, StoredEvent>();
        byCluster.set(event.clusterUid, list.set(event.id, event));
      }
      return Promise.resolve();
    },
    trim(clusterUid, upTo) {
      for (const event of all(clusterUid)) {
        if (event.sequence <= upTo) byCluster.get(clusterUid)?.delete(event.id);
      }
      return Promise.resolve();
    },
    untold: () => Promise.resolve([...byCluster.keys()].flatMap(all).filter((event) => !event.told)),
  };
}

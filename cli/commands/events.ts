// pcg events: what happened to a cluster, oldest first; with --follow, as it happens.
import { Fault, sleep } from "#core";
import type { EventPage, PlaneClient } from "#plane";
import { show, table, type Format } from "../output.ts";
import type { World } from "../world.ts";
import { openPlane } from "./connect.ts";

export interface EventsOptions {
  readonly context: string;
  readonly limit: number;
  readonly follow?: boolean;
  readonly output: Format;
}

type Event = EventPage["items"][number];
const followMs = 1_000;

export async function events(world: World, cluster: string, options: EventsOptions): Promise<void> {
  const { client } = await openPlane(world, options.context);
  try {
    const uid = await clusterUid(client, cluster);
    const page = await client.clusterEvents(uid, { limit: options.limit });
    const first = [...page.items].reverse();
    show(world.output, options.output, { items: first }, () =>
      first.length === 0 ? "no events yet" : eventTable(first),
    );
    let last = first.at(-1)?.sequence ?? 0;
    while (options.follow && !world.signal.aborted) {
      await sleep(world.clock, followMs, world.signal).catch(() => {});
      const more = await client.clusterEvents(uid, { after: last, limit: 100 });
      for (const event of [...more.items].reverse()) world.output.line(eventRow(event).join("   "));
      last = more.items[0]?.sequence ?? last;
    }
  } finally {
    await client.close();
  }
}

/** The uid for a name or uid. NotFound, with the names there are. */
export async function clusterUid(client: PlaneClient, nameOrUid: string): Promise<string> {
  const all = await client.clusters();
  const found = all.find(({ metadata }) => metadata.uid === nameOrUid || metadata.name === nameOrUid);
  if (found?.metadata.uid) return found.metadata.uid;
  const names = all.map(({ metadata }) => metadata.name).join(", ");
  throw new Fault(
    "NotFound",
    `the plane has no cluster ${nameOrUid}; ${names ? `there are: ${names}` : "there is none at all"}`,
  );
}

function eventTable(items: readonly Event[]): string {
  return table(["TIME", "SEVERITY", "REASON", "MESSAGE"], items.map(eventRow));
}

function eventRow(event: Event): string[] {
  return [event.metadata.creationTimestamp ?? "", event.severity, event.reason, event.message];
}

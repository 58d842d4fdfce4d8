// Who had an address when. Append only: what was is never changed, and what is written survives the objects.
//
//   H1. An IPAddress (by uid) has one "given", told by its creation time, and at most one "released", told by when its end was seen.
//   H2. Written off the claims' path: the recorder follows IPAddresses; after a time away it catches up, with the time of the start.
import {
  listAll,
  type Change,
  type Clock,
  type Controller,
  type Kind,
  type Logger,
  type Resource,
  type ResourceStore,
} from "#core";
import { clusterNameLabel, ipAddress, metal3IPAddress, type IPAddress, type Metal3IPAddress } from "#proto";

export interface HistoryEntry {
  readonly event: "given" | "released";
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Canonical text. */
  readonly address: string;
  /** The IPAddress object's. */
  readonly uid: string;
  /** "IPAddress.ipam.cluster.x-k8s.io" or Metal3's. */
  readonly kind: string;
  readonly object: string;
  /** "namespace/name". */
  readonly claim: string;
  /** "InClusterIPPool c/nodes". */
  readonly pool: string;
  readonly cluster?: string;
}

/** Where history is kept. Writes are durable when they resolve. */
export interface HistoryShelf {
  /** What is there already (by uid and event) is left as it is. */
  append(entries: readonly HistoryEntry[]): Promise<void>;
  /** Everything about an address, oldest first. */
  ofAddress(address: string): Promise<readonly HistoryEntry[]>;
  /** Everything about a claim ("namespace/name"), oldest first. */
  ofClaim(claim: string): Promise<readonly HistoryEntry[]>;
  /** What was given and not released, as far as is written. */
  open(): Promise<readonly HistoryEntry[]>;
  /** Everything since then, oldest first: for growth. */
  since(at: number): Promise<readonly HistoryEntry[]>;
}

/** Who had the address at that time; undefined: nobody. Pure. */
export function holderAt(entries: readonly HistoryEntry[], at: number): HistoryEntry | undefined {
  const ended = new Set(
    entries.filter((each) => each.event === "released" && each.at <= at).map(({ uid }) => uid),
  );
  return entries.filter((each) => each.event === "given" && each.at <= at && !ended.has(each.uid)).at(-1);
}

/** Records both kinds of IPAddress; on an API server without Metal3's CRDs leave its kind out. */
export function historyControllers(
  deps: {
    readonly store: ResourceStore;
    readonly clock: Clock;
    readonly log: Logger;
    readonly shelf: HistoryShelf;
  },
  kinds: readonly Kind[] = [ipAddress as Kind, metal3IPAddress as Kind],
): Controller[] {
  return kinds.map((kind) => recorder(deps, kind));
}

function recorder(
  {
    store,
    clock,
    shelf,
  }: { readonly store: ResourceStore; readonly clock: Clock; readonly shelf: HistoryShelf },
  kind: Kind,
): Controller {
  let caughtUp: Promise<void> | undefined;

  /** H2: what ended while nobody looked. */
  async function catchUp(): Promise<void> {
    const name = kindText(kind);
    const open = (await shelf.open()).filter((each) => each.kind === name);
    if (open.length === 0) return;
    const there = new Set((await listAll(store, kind)).items.map(({ metadata }) => metadata.uid));
    const at = clock.now();
    await shelf.append(
      open.filter(({ uid }) => !there.has(uid)).map((each) => ({ ...each, event: "released", at })),
    );
  }

  /** Heard of and not written yet. What lived for a moment only is heard of too: rounds would miss it. */
  let heard: HistoryEntry[] = [];

  function hear(change: Change): void {
    const at = clock.now();
    const ended =
      change.type === "Deleted" ? change.object : change.type === "Modified" ? change.old : undefined;
    const isEnd = ended && (change.type === "Deleted" || ended.metadata.uid !== change.object.metadata.uid);
    if (isEnd) heard.push(givenEntry(kind, ended), { ...givenEntry(kind, ended), event: "released", at });
    if (change.type !== "Deleted" && (change.type === "Added" || isEnd))
      heard.push(givenEntry(kind, change.object));
  }

  async function write(): Promise<void> {
    await (caughtUp ??= catchUp().catch((error: unknown) => {
      caughtUp = undefined;
      throw error;
    }));
    const entries = heard;
    heard = [];
    if (entries.length === 0) return;
    await shelf.append(entries).catch((error: unknown) => {
      heard = [...entries, ...heard];
      throw error;
    });
  }

  return {
    name: `ipam-history-${kind.group}`,
    kind,
    follows: [],
    concurrency: 1,
    begin: (means) => void means.cache(kind).subscribe(hear),
    reconciler: {
      async reconcile() {
        await write();
        return {};
      },
    },
  };
}

function givenEntry(kind: Kind, object: Resource): HistoryEntry {
  const { metadata } = object;
  const namespace = metadata.namespace ? `${metadata.namespace}/` : "";
  const cluster = metadata.labels?.[clusterNameLabel];
  const common = {
    event: "given" as const,
    at: Date.parse(metadata.creationTimestamp),
    uid: metadata.uid,
    kind: kindText(kind),
    object: `${namespace}${metadata.name}`,
    ...(cluster ? { cluster } : {}),
  };
  if (kind.group === metal3IPAddress.group) {
    const { address, claim, pool } = (object as Metal3IPAddress).spec;
    return {
      ...common,
      address,
      claim: `${namespace}${claim.name}`,
      pool: `IPPool ${namespace}${pool.name}`,
    };
  }
  const { address, claimRef, poolRef } = (object as IPAddress).spec;
  const place = poolRef.kind.startsWith("Global") ? "" : namespace;
  return {
    ...common,
    address,
    claim: `${namespace}${claimRef.name}`,
    pool: `${poolRef.kind} ${place}${poolRef.name}`,
  };
}

export function kindText({ kind, group }: Kind): string {
  return `${kind}.${group}`;
}

/** In memory, for those who need no history after a restart: the newest entries, and what is held. */
export function memoryHistory(keep = 100_000): HistoryShelf {
  const entries: HistoryEntry[] = [];
  const known = new Set<string>();
  return {
    append: async (list) => {
      for (const each of list) {
        const id = `${each.uid} ${each.event}`;
        if (!known.has(id)) entries.push(each);
        known.add(id);
      }
      for (const old of entries.splice(0, Math.max(0, entries.length - keep)))
        if (old.event === "released")
          for (const event of ["given", "released"]) known.delete(`${old.uid} ${event}`);
    },
    ofAddress: async (address) => entries.filter((each) => each.address === address),
    ofClaim: async (claim) => entries.filter((each) => each.claim === claim),
    since: async (at) => entries.filter((each) => each.at >= at),
    open: async () => entries.filter(({ event, uid }) => event === "given" && !known.has(`${uid} released`)),
  };
}

// For tests: a link that remembers, and a plane in a temporary directory with the clock in the test's hand.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, type Clock, type Secret } from "#core";
import { fakeClock, type FakeClock } from "#core/time/fake-clock.ts";
import type { Hub, Message, MessageDraft, PeerIdentity } from "#tunnel/link.ts";
import { planeClient, type PlaneClient } from "./client.ts";
import type { HubOptions, OpenHub } from "./hub.ts";
import { startPlane, type Plane, type PlaneOptions } from "./start.ts";

type Peer = Pick<PeerIdentity, "role" | "uid">;

/** A Hub without a line: what is published is kept in `sent`; `say` plays a message that a peer sent. */
export interface FakeHub extends Hub {
  readonly sent: { to: Peer; draft: MessageDraft }[];
  readonly cut: Peer[];
  options: HubOptions | undefined;
  /** Publishing fails while this is set. */
  broken: Error | undefined;
  say(from: PeerIdentity, topic: string, body: unknown, key?: string): Promise<void>;
  connect(identity: PeerIdentity): void;
}

export function fakeHub(): FakeHub {
  const handlers = new Map<string, (from: PeerIdentity, message: Message) => Promise<void>>();
  const connected: PeerIdentity[] = [];
  let seq = 0;
  const hub: FakeHub = {
    sent: [],
    cut: [],
    options: undefined,
    broken: undefined,
    async publish(to, draft) {
      if (hub.broken) throw hub.broken;
      hub.sent.push({ to, draft });
    },
    handle: (topic, handler) => void handlers.set(topic, handler),
    onGap: () => () => {},
    backlog: async () => 0,
    peers: () => connected.map((identity) => ({ identity, since: 0, transport: "fake" })),
    onPeers: () => () => {},
    disconnect(to) {
      hub.cut.push(to);
      const at = connected.findIndex((p) => p.role === to.role && p.uid === to.uid);
      if (at >= 0) connected.splice(at, 1);
    },
    async close() {},
    async say(from, topic, body, key = "") {
      seq++;
      await handlers.get(topic)?.(from, { topic, class: "event", key, body, epoch: "e", seq, at: 0 });
    },
    connect: (identity) => void connected.push(identity),
  };
  return hub;
}

export const openFake =
  (hub: FakeHub): OpenHub =>
  async (options) => {
    hub.options = options;
    return { hub, address: { host: options.listen.host, port: options.listen.port || 8444 } };
  };

export interface TestPlane {
  readonly plane: Plane;
  readonly hub: FakeHub;
  readonly clock: FakeClock;
  readonly apiKey: Secret;
  readonly dataDir: string;
  readonly client: PlaneClient;
  /** Closes the plane and opens its data directory again. */
  restart(options?: Partial<PlaneOptions>): Promise<TestPlane>;
  end(): Promise<void>;
}

/** A plane on loopback, plain http unless told. `end` removes everything. */
export async function testPlane(
  options: Partial<PlaneOptions> = {},
  clock: Clock = fakeClock(),
): Promise<TestPlane> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "pcg-plane-")));
  return open(dataDir, options, clock, undefined);
}

async function open(
  dataDir: string,
  options: Partial<PlaneOptions>,
  clock: Clock,
  known: Secret | undefined,
): Promise<TestPlane> {
  const hub = fakeHub();
  const any = { host: "127.0.0.1", port: 0 };
  const plane = await startPlane(
    {
      listen: any,
      tunnelListen: any,
      tls: "off",
      rates: { calls: 100_000, registrations: 100_000 },
      ...options,
      dataDir,
    },
    { clock, log: silentLogger, random: () => 0.5, openHub: openFake(hub) },
    new AbortController().signal,
  );
  const apiKey = plane.apiKey ?? known;
  if (!apiKey) throw new Error("a data directory of an earlier plane, and no key to it");
  const client = planeClient({ url: plane.url, ca: plane.caPem, apiKey });
  const stop = async () => {
    await client.close();
    await plane.close();
  };
  return {
    plane,
    hub,
    clock: clock as FakeClock,
    apiKey,
    dataDir,
    client,
    async restart(change = {}) {
      await stop();
      return open(dataDir, { ...options, ...change }, clock, apiKey);
    },
    async end() {
      await stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

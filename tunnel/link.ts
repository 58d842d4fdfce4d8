// The port: what the programs see of the tunnel. Frames, transports and logs stay behind it.
//
// A message is durable from the moment `publish` resolves, delivered at least once to a handler, and each handler is called once
// for each message unless it failed or the process died before the receipt was stored: handlers must be idempotent.

/** How a message is kept until the peer has acknowledged it. */
export type MessageClass =
  /** Every one is delivered, in order. */
  | "event"
  /** Only the newest of a key is kept and delivered. */
  | "state"
  /** Sent if the line is up, dropped otherwise; never stored. */
  | "sample";

export interface MessageDraft {
  /** Dotted words: "status.cluster". */
  readonly topic: string;
  readonly class: MessageClass;
  /** What the message is about; with class "state" a newer message of the same topic and key replaces an unsent one. */
  readonly key: string;
  /** JSON; at most 256 KiB as text. */
  readonly body: unknown;
}

export interface Message extends MessageDraft {
  /** Names the sender's log; a new one after its database was lost. */
  readonly epoch: string;
  /** Rises by one with every stored message of the sender's log; 0 for samples. */
  readonly seq: number;
  /** Milliseconds since 1970, by the sender's clock. */
  readonly at: number;
}

/** Handles one message; the message counts as received when the promise resolves, and comes again when it rejects. */
export type MessageHandler = (message: Message) => Promise<void>;

/** Messages the sender had to give up before they were received: its outbox was full, or they grew too old. */
export interface Gap {
  /** Names the sender's log. */
  readonly epoch: string;
  /** Numbers of the first and the last one given up; those between them that were not given up arrive as usual. */
  readonly first: number;
  readonly last: number;
  /** How many were given up, at most. */
  readonly count: number;
  readonly reason: string;
}

export type LinkState =
  | { readonly kind: "connecting"; readonly attempt: number; readonly lastError?: string }
  | {
      readonly kind: "connected";
      readonly since: number;
      readonly transport: string;
      readonly rttMs?: number;
    }
  | { readonly kind: "waiting"; readonly until: number; readonly attempt: number; readonly lastError: string }
  /** The plane refused us (revoked, unknown): only an operator can help. We ask again every few minutes, in case one did. */
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "closed" };

/** The dialling side: a gateway's or an agent's link to the plane. */
export interface Link {
  readonly state: LinkState;
  /** Calls back at every change of state, and once at once. Returns the way to stop. */
  onState(listener: (state: LinkState) => void): () => void;
  /** Resolves when the message is on disk (at once for samples). Never waits for the line. */
  publish(draft: MessageDraft): Promise<void>;
  /** Registers the one handler of a topic. Messages of a topic without a handler wait. */
  handle(topic: string, handler: MessageHandler): void;
  /** Calls back when the plane gave messages up. State must be asked for afresh. Returns the way to stop. */
  onGap(listener: (gap: Gap) => void): () => void;
  /** Unacknowledged messages in the outbox. */
  backlog(): Promise<number>;
  /** Closes the line; what is unsent stays on disk. Twice is once. */
  close(): Promise<void>;
}

export interface PeerIdentity {
  /** "gateway" or "agent". */
  readonly role: "gateway" | "agent";
  /** The gateway's uid, or the cluster's uid for an agent. */
  readonly uid: string;
  readonly tenantUid: string;
  /** Serial number of the certificate it came with, hex. */
  readonly serial: string;
}

/** The listening side: all links of a plane. */
export interface Hub {
  /** Stores a message for a peer, connected or not; delivered when it is. */
  publish(to: Pick<PeerIdentity, "role" | "uid">, draft: MessageDraft): Promise<void>;
  handle(topic: string, handler: (from: PeerIdentity, message: Message) => Promise<void>): void;
  /** Calls back when a peer gave messages up. Returns the way to stop. */
  onGap(listener: (from: PeerIdentity, gap: Gap) => void): () => void;
  /** Messages that a peer has not acknowledged. */
  backlog(to: Pick<PeerIdentity, "role" | "uid">): Promise<number>;
  /** Peers connected now. */
  peers(): readonly { readonly identity: PeerIdentity; readonly since: number; readonly transport: string }[];
  onPeers(listener: (identity: PeerIdentity, connected: boolean) => void): () => void;
  /** Cuts a peer's links and refuses it until `allow` says yes again (revocation). */
  disconnect(to: Pick<PeerIdentity, "role" | "uid">): void;
  close(): Promise<void>;
}

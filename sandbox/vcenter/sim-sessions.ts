// Sessions of the simulated vCenter: who is logged in, and what lives and dies with the login (views, collectors, pages).
import type { Clock } from "#core";
import type { Read, Write } from "#vsphere/soap/types.ts";
import { SimCollector } from "./sim-collector.ts";

/** A view: the references it holds are looked up each time it is read. */
export interface SimView {
  readonly type: "ContainerView" | "ListView";
  readonly container: string;
  readonly types: readonly string[];
  readonly recursive: boolean;
  /** A list view's members. */
  readonly members: Read<"ObjectSpec">["obj"][];
}

export interface SimSession {
  /** The cookie's value, and the session's key, as in vcsim. */
  readonly key: string;
  readonly username: string;
  readonly loginMs: number;
  readonly userAgent: string;
  readonly address: string;
  activeMs: number;
  calls: number;
  readonly views: Map<string, SimView>;
  readonly collectors: Map<string, SimCollector>;
  /** Answers that are still to be fetched, by token. */
  readonly pages: Map<string, Write<"ObjectContent">[]>;
}

const idleMs = 30 * 60_000;

export class SimSessions {
  readonly #clock: Clock;
  readonly #uuid: () => string;
  readonly #sessions = new Map<string, SimSession>();

  constructor(clock: Clock, uuid: () => string) {
    this.#clock = clock;
    this.#uuid = uuid;
  }

  get size(): number {
    return this.list().length;
  }

  open(username: string, from: { readonly userAgent: string; readonly address: string }): SimSession {
    const now = this.#clock.now();
    const session: SimSession = {
      ...from,
      key: this.#uuid(),
      username,
      loginMs: now,
      activeMs: now,
      calls: 0,
      views: new Map(),
      collectors: new Map(),
      pages: new Map(),
    };
    session.collectors.set("propertyCollector", new SimCollector());
    this.#sessions.set(session.key, session);
    return session;
  }

  /** The live session of a cookie; it counts as used now. */
  use(key: string | undefined): SimSession | undefined {
    const session = this.#sessions.get(key?.replace(/^"|"$/g, "") ?? "");
    if (!session) return undefined;
    if (this.#idle(session)) {
      this.end(session.key);
      return undefined;
    }
    session.activeMs = this.#clock.now();
    session.calls++;
    return session;
  }

  list(): SimSession[] {
    for (const session of this.#sessions.values()) if (this.#idle(session)) this.end(session.key);
    return [...this.#sessions.values()];
  }

  /** False when there is no such session. */
  end(key: string): boolean {
    for (const collector of this.#sessions.get(key)?.collectors.values() ?? []) collector.destroy();
    return this.#sessions.delete(key);
  }

  expireAll(): void {
    for (const key of [...this.#sessions.keys()]) this.end(key);
  }

  #idle(session: SimSession): boolean {
    const waiting = [...session.collectors.values()].some((collector) => collector.waiting);
    return !waiting && this.#clock.now() - session.activeMs >= idleMs;
  }
}

/** As `sessionList` tells it. Pure. */
export function userSession(session: SimSession): Write<"UserSession"> {
  return {
    key: session.key,
    userName: session.username,
    fullName: session.username,
    loginTime: new Date(session.loginMs).toISOString(),
    lastActiveTime: new Date(session.activeMs).toISOString(),
    locale: "en",
    messageLocale: "en",
    extensionSession: false,
    ipAddress: session.address,
    userAgent: session.userAgent,
    callCount: session.calls,
  };
}

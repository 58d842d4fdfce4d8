// A login at one vCenter, shared by everybody who uses the same account.
//   S1. Login happens at the first call, and again when the session has ended: transparently, one login for all who wait.
//   S2. A password that was refused is not sent again for `refusedMs`, whoever asks: accounts get locked out. New credentials
//       make a new session, so they are tried at once.
//   S3. While it is open, a call every five minutes keeps it alive. Closing logs out.
//   S4. A call whose session had ended is repeated once after the new login: the server did nothing when it said NotAuthenticated.
import { Fault, isFault, type CancelTimer, type Clock, type Logger, type Secret } from "#core";
import { soapCaller, type CallOptions, type Caller } from "./soap/caller.ts";
import type { Transport } from "./soap/transport.ts";
import type { MethodName, Params, Read, Ref, Returns } from "./soap/types.ts";
import { isVimFault } from "./soap/vim-fault.ts";
import { negotiateVersion } from "./version.ts";

export type ServiceContent = Read<"ServiceContent">;

export interface Session {
  readonly server: string;
  readonly username: string;
  readonly clock: Clock;
  /** The server's root objects. Needs no login. Fetched once. */
  content(signal?: AbortSignal): Promise<ServiceContent>;
  /** Calls a method inside the session, logging in first where needed. Rejects with Fault or VimFault. */
  call<M extends MethodName>(
    target: Ref,
    method: M,
    args: Params<M>,
    options?: CallOptions,
  ): Promise<Returns<M>>;
  /** Sees that the session is live: logs in if need be, asks the server otherwise. */
  check(signal?: AbortSignal): Promise<void>;
  /** The account as the server writes it ("DOMAIN\\user" perhaps). Logs in where needed. */
  account(signal?: AbortSignal): Promise<string>;
  /** Counts logins; what belonged to an earlier one (views, filters) is gone. */
  readonly epoch: number;
  /** Logs out (waiting 5 s at most) and ends all connections. Twice is once. */
  close(): Promise<void>;
}

export interface SessionOptions {
  readonly transport: Transport;
  readonly username: string;
  readonly password: Secret;
  readonly clock: Clock;
  readonly log: Logger;
  /** 5 min unless told. */
  readonly keepAliveMs?: number;
  /** 15 min unless told. */
  readonly refusedMs?: number;
}

export const serviceInstance: Ref = { type: "ServiceInstance", value: "ServiceInstance" };

type State =
  | { readonly kind: "out" }
  | { readonly kind: "in"; readonly cookie: string | undefined; readonly cancelKeepAlive: CancelTimer }
  | { readonly kind: "refused"; readonly until: number; readonly why: Fault }
  | { readonly kind: "closed" };

export function vimSession(options: SessionOptions): Session {
  return new VimSession(options);
}

class VimSession implements Session {
  readonly #options: SessionOptions;
  readonly #caller: Caller;
  #version: string | undefined;
  #content: Promise<ServiceContent> | undefined;
  #state: State = { kind: "out" };
  #entering: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  readonly #ended = new AbortController();
  #account: string;
  epoch = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#account = options.username;
    this.#caller = soapCaller(options.transport, () => this.#version);
  }

  get server(): string {
    return this.#options.transport.server;
  }
  get username(): string {
    return this.#options.username;
  }
  get clock(): Clock {
    return this.#options.clock;
  }

  content(signal?: AbortSignal): Promise<ServiceContent> {
    this.#content ??= this.#fetchContent().catch((error: unknown) => {
      this.#content = undefined;
      throw error;
    });
    return orAborted(this.#content, signal);
  }

  async #fetchContent(): Promise<ServiceContent> {
    const signal = this.#ended.signal;
    this.#version = await negotiateVersion(this.#options.transport, signal).catch((error: unknown) => {
      throw prefixed(error, "asking for the versions of the interface");
    });
    return this.#caller.call(serviceInstance, "RetrieveServiceContent", {}, { signal, timeoutMs: 30_000 });
  }

  async call<M extends MethodName>(
    target: Ref,
    method: M,
    args: Params<M>,
    options: CallOptions = {},
  ): Promise<Returns<M>> {
    const cookie = await this.#cookie(options.signal);
    try {
      return await this.#caller.call(target, method, args, { ...options, cookie });
    } catch (error) {
      if (!isVimFault(error, "NotAuthenticated")) throw error;
      this.#leave(cookie);
      const fresh = await this.#cookie(options.signal);
      return this.#caller.call(target, method, args, { ...options, cookie: fresh }); // S4
    }
  }

  async check(signal?: AbortSignal): Promise<void> {
    const { sessionManager } = await this.content(signal);
    const before = this.epoch;
    await this.#cookie(signal);
    if (this.epoch !== before || !sessionManager) return; // this very call logged in
    await this.call(
      serviceInstance,
      "CurrentTime",
      {},
      { signal, timeoutMs: 30_000, doing: "checking the session" },
    );
  }

  async account(signal?: AbortSignal): Promise<string> {
    await this.#cookie(signal);
    return this.#account;
  }

  /** The cookie of a live login, logging in where there is none. */
  async #cookie(signal: AbortSignal | undefined): Promise<string | undefined> {
    const state = this.#state;
    if (state.kind === "in") return state.cookie;
    if (state.kind === "closed") throw new Fault("Unavailable", `the session at ${this.server} is closed`);
    if (state.kind === "refused" && this.clock.now() < state.until) throw state.why; // S2
    this.#entering ??= this.#login().finally(() => (this.#entering = undefined)); // S1
    await orAborted(this.#entering, signal);
    return this.#cookie(signal);
  }

  async #login(): Promise<void> {
    const { username, password, log } = this.#options;
    const { sessionManager } = await this.content();
    if (!sessionManager)
      throw new Fault("Invalid", `${this.server} has no session manager; is that a vCenter?`);
    const doing = `logging in to ${this.server} as '${username}'`;
    let cookie: string | undefined;
    try {
      const session = await this.#caller.call(
        sessionManager,
        "Login",
        { userName: username, password: password.reveal() },
        { signal: this.#ended.signal, timeoutMs: 60_000, doing, onCookie: (value) => (cookie = value) },
      );
      this.#account = session.userName || username;
    } catch (error) {
      if (isVimFault(error, "InvalidLogin")) this.#refuse(error);
      throw error;
    }
    if (this.#closing) throw new Fault("Unavailable", `the session at ${this.server} is closed`);
    this.epoch++;
    this.#state = { kind: "in", cookie, cancelKeepAlive: () => {} };
    this.#keepAlive(cookie);
    log.debug("logged in to vCenter", { server: this.server, username });
  }

  #refuse(why: Fault): void {
    const waitMs = this.#options.refusedMs ?? 15 * 60_000;
    this.#state = { kind: "refused", until: this.clock.now() + waitMs, why };
    this.#options.log.warn("vCenter refuses the login; not tried again until the credentials change", {
      server: this.server,
      username: this.username,
      retryAfterMs: waitMs,
    });
  }

  #keepAlive(cookie: string | undefined): void {
    const cancelKeepAlive = this.clock.after(this.#options.keepAliveMs ?? 5 * 60_000, () => {
      if (this.#state.kind !== "in" || this.#state.cookie !== cookie) return;
      this.#caller
        .call(serviceInstance, "CurrentTime", {}, { cookie, signal: this.#ended.signal, timeoutMs: 30_000 })
        .catch((error: unknown) => {
          if (isVimFault(error, "NotAuthenticated")) this.#leave(cookie); // the next call logs in
        })
        .finally(() => {
          if (this.#state.kind === "in" && this.#state.cookie === cookie) this.#keepAlive(cookie);
        });
    });
    this.#state = { kind: "in", cookie, cancelKeepAlive };
  }

  /** Forgets the login with this cookie, unless a newer one took its place. */
  #leave(cookie: string | undefined): void {
    if (this.#state.kind !== "in" || this.#state.cookie !== cookie) return;
    this.#state.cancelKeepAlive();
    this.#state = { kind: "out" };
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const before = this.#state;
    this.#state = { kind: "closed" };
    if (before.kind === "in") {
      before.cancelKeepAlive();
      const { sessionManager } = await this.content();
      const { cookie } = before;
      if (sessionManager)
        await this.#caller
          .call(sessionManager, "Logout", {}, { cookie, timeoutMs: 5_000 })
          .catch((error: unknown) => {
            if (!isFault(error)) throw error;
            this.#options.log.debug("could not log out of vCenter", { server: this.server, error });
          });
    }
    this.#ended.abort();
    this.#options.transport.close();
  }
}

function prefixed(error: unknown, doing: string): Fault {
  const fault = Fault.from(error);
  return new Fault(fault.code, `${doing}: ${fault.message}`, { cause: error });
}

/** Waits for work that others share; an abort ends the waiting, not the work. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  if (signal.aborted) return Promise.reject(new Fault("Cancelled", "the request was cancelled"));
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new Fault("Cancelled", "the request was cancelled"));
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

// Bad manners on demand. A knob takes effect at the next call; `calls` counts what came in, by method.
import type { Secret } from "#core";
import type { Grant } from "./rights.ts";
import type { World } from "./world.ts";

export interface VcenterKnobs {
  /** Every call of `method` ("*": of any) waits so long before it is looked at, milliseconds; 0 takes it off. */
  latency(method: string, ms: number): void;
  /** The next `times` calls of `method` fail with the fault type named ("NoPermission", "SystemError", …); once unless told. */
  failNext(method: string, fault: string, times?: number): void;
  /** The next `times` calls of `method` ("*": of any) have their connection cut before an answer; once unless told. */
  cutNext(method: string, times?: number): void;
  /** Refuses every login as InvalidLogin until turned off. */
  refuseLogins(on: boolean): void;
  /** From now on logins need this password; sessions go on. */
  setPassword(password: Secret, username?: string): void;
  /** Ends every session: the next call of each is answered NotAuthenticated. */
  expireSessions(): void;
  /** Adds a user (or changes its rights); "all" is an administrator. */
  setUser(username: string, password: Secret, grants: "all" | readonly Grant[]): void;
  /** By name. A host that is down keeps its machines, unreachable; new ones go elsewhere. */
  setHost(name: string, state: "up" | "down" | "maintenance"): void;
  /** Free space of a datastore, GiB. */
  setFreeSpace(datastore: string, freeGiB: number): void;
  /** Gives a machine or a template another name, as a person would by hand. */
  rename(name: string, to: string): void;
  /** Tasks of `method` begin and never end, until turned off (then they go on). */
  hangTasks(method: string, on: boolean): void;
  /** How long tasks of `method` take, milliseconds; "*" for those not named. */
  taskTime(method: string, ms: number): void;
  /** Calls that came in, by method; the sum with "*". */
  calls(method?: string): number;
  /** Sessions that are logged in. */
  sessions(): number;
}

/** What the knobs stand at; the server reads it at each call. */
export interface KnobState {
  readonly latency: Map<string, number>;
  readonly faults: Map<string, { readonly fault: string; times: number }>;
  readonly cuts: Map<string, number>;
  readonly hanging: Set<string>;
  readonly taskTime: Map<string, number>;
  readonly counts: Map<string, number>;
  refuseLogins: boolean;
}

export function knobState(): KnobState {
  return {
    latency: new Map(),
    faults: new Map(),
    cuts: new Map(),
    hanging: new Set(),
    taskTime: new Map(),
    counts: new Map(),
    refuseLogins: false,
  };
}

interface Accounts {
  set(username: string, password: Secret, grants: "all" | readonly Grant[]): void;
  setPassword(username: string, password: Secret): void;
}

interface Parts {
  readonly world: World;
  readonly state: KnobState;
  readonly accounts: Accounts;
  readonly username: string;
  readonly sessions: { readonly size: number; expireAll(): void };
  readonly tasks: { goOn(): void };
}

export function knobsOver({ world, state, accounts, username, sessions, tasks }: Parts): VcenterKnobs {
  return {
    latency: (method, ms) => void (ms > 0 ? state.latency.set(method, ms) : state.latency.delete(method)),
    failNext: (method, fault, times = 1) => void state.faults.set(method, { fault, times }),
    cutNext: (method, times = 1) => void state.cuts.set(method, times),
    refuseLogins: (on) => void (state.refuseLogins = on),
    setPassword: (password, who = username) => accounts.setPassword(who, password),
    expireSessions: () => sessions.expireAll(),
    setUser: (who, password, grants) => accounts.set(who, password, grants),
    setHost(name, to) {
      for (const host of world.all("HostSystem").filter((each) => each.name === name)) {
        host.connected = to !== "down";
        host.maintenance = to === "maintenance";
      }
      world.changed();
    },
    setFreeSpace(datastore, freeGiB) {
      for (const each of world.all("Datastore")) if (each.name === datastore) each.free = freeGiB * 2 ** 30;
      world.changed();
    },
    rename(name, to) {
      for (const each of world.all("VirtualMachine")) if (each.name === name) each.name = to;
      world.changed();
    },
    hangTasks(method, on) {
      if (on) state.hanging.add(method);
      else state.hanging.delete(method);
      tasks.goOn();
    },
    taskTime: (method, ms) => void state.taskTime.set(method, ms),
    calls: (method = "*") =>
      method === "*"
        ? [...state.counts.values()].reduce((sum, n) => sum + n, 0)
        : (state.counts.get(method) ?? 0),
    sessions: () => sessions.size,
  };
}

// A call of a method, as its handler sees it.
import type { Clock } from "#core";
import type { Ref } from "#vsphere";
import type { MethodName, ParamsRead, ReturnsWrite } from "#vsphere/soap/types.ts";
import type { MachineEntity } from "./entities.ts";
import type { KnobState } from "./knobs.ts";
import type { Rights } from "./rights.ts";
import type { SimSession, SimSessions } from "./sim-sessions.ts";
import type { SimTasks } from "./sim-tasks.ts";
import type { World } from "./world.ts";

export interface Deps {
  readonly clock: Clock;
  readonly world: World;
  readonly rights: Rights;
  readonly sessions: SimSessions;
  readonly tasks: SimTasks;
  readonly knobs: KnobState;
  /** Called after a machine's power or existence changed. */
  readonly onPower: (machine: MachineEntity, event: "on" | "off" | "destroyed") => void;
}

/** One call, as a handler sees it. */
export interface Call extends Deps {
  readonly target: Ref;
  /** Undefined before the login. */
  readonly session: SimSession | undefined;
  readonly client: { readonly userAgent: string; readonly address: string };
  /** Ends when the client goes away. */
  readonly signal: AbortSignal;
  setCookie(key: string): void;
}

/** A call inside a session. */
export type Inside = Call & { readonly session: SimSession };

export type Handler<M extends MethodName, C> = (
  call: C,
  args: ParamsRead<M>,
) => ReturnsWrite<M> | Promise<ReturnsWrite<M>>;
export type Handlers<C> = { readonly [M in MethodName]?: Handler<M, C> };

// Tasks: queued, running with progress, then success or error; as long as the knobs say.
//   K1. The effect of a task happens in one step, at its end: nobody sees half of a clone.
//   K2. A task that the knobs hold goes on when they let go.
import type { CancelTimer, Clock } from "#core";
import type { Ref } from "#vsphere";
import type { Write } from "#vsphere/soap/types.ts";
import { SimFault } from "./fault.ts";
import type { KnobState } from "./knobs.ts";

/** vCenter forgets a task some minutes after its end. */
const keepMs = 10 * 60_000;
const defaultTaskMs = 20;

interface SimTask {
  readonly ref: Ref;
  readonly method: string;
  readonly entity: Ref;
  readonly entityName: string;
  readonly userName: string;
  readonly queuedMs: number;
  readonly effect: () => unknown;
  state: "queued" | "running" | "success" | "error";
  progress: number | undefined;
  startedMs: number | undefined;
  endedMs: number | undefined;
  result: unknown;
  error: { readonly message: string; readonly body: { readonly $type: string } } | undefined;
  held: boolean;
}

export interface TaskRequest {
  readonly method: string;
  readonly entity: Ref;
  readonly entityName: string;
  readonly userName: string;
  /** Does the work; throws SimFault to fail the task. */
  readonly effect: () => unknown;
}

interface Deps {
  readonly clock: Clock;
  readonly knobs: KnobState;
  readonly nextId: () => string;
  /** Called whenever a task stands otherwise than before. */
  readonly stirred: () => void;
}

export class SimTasks {
  readonly #deps: Deps;
  readonly #tasks = new Map<string, SimTask>();
  readonly #timers = new Set<CancelTimer>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  start(request: TaskRequest): Ref {
    const ref = { type: "Task", value: this.#deps.nextId() };
    const task: SimTask = {
      ...request,
      ref,
      queuedMs: this.#deps.clock.now(),
      state: "queued",
      progress: undefined,
      startedMs: undefined,
      endedMs: undefined,
      result: undefined,
      error: undefined,
      held: false,
    };
    this.#tasks.set(ref.value, task);
    this.#after(0, () => this.#run(task));
    return ref;
  }

  get(id: string): SimTask | undefined {
    return this.#tasks.get(id);
  }

  /** Lets held tasks go on that the knobs no longer hold. */
  goOn(): void {
    for (const task of this.#tasks.values()) if (task.held) this.#run(task);
  }

  stop(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #run(task: SimTask): void {
    const { knobs, clock } = this.#deps;
    task.state = "running";
    task.startedMs ??= clock.now();
    task.progress ??= 0;
    task.held = knobs.hanging.has(task.method) || knobs.hanging.has("*");
    this.#deps.stirred();
    if (task.held) return; // K2
    const ms = knobs.taskTime.get(task.method) ?? knobs.taskTime.get("*") ?? defaultTaskMs;
    this.#after(ms / 2, () => {
      task.progress = 50;
      this.#deps.stirred();
      this.#after(ms / 2, () => this.#finish(task));
    });
  }

  #finish(task: SimTask): void {
    try {
      task.result = task.effect(); // K1
      task.state = "success";
    } catch (error) {
      task.state = "error";
      const fault =
        error instanceof SimFault
          ? error
          : new SimFault(String(error), { $type: "SystemError", reason: String(error) });
      task.error = { message: fault.message, body: fault.body };
    }
    task.progress = undefined;
    task.endedMs = this.#deps.clock.now();
    this.#after(keepMs, () => this.#tasks.delete(task.ref.value));
    this.#deps.stirred();
  }

  #after(ms: number, fire: () => void): void {
    const cancel = this.#deps.clock.after(ms, () => {
      this.#timers.delete(cancel);
      fire();
    });
    this.#timers.add(cancel);
  }
}

/** A task as its `info` property tells it. Pure. */
export function taskInfo(task: SimTask): Write<"TaskInfo"> {
  const time = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());
  return {
    key: task.ref.value,
    task: task.ref,
    name: task.method,
    descriptionId: `${task.entity.type}.${task.method.replace(/_Task$/, "").replace(/^./, (c) => c.toLowerCase())}`,
    entity: task.entity,
    entityName: task.entityName,
    state: task.state,
    cancelled: false,
    cancelable: false,
    progress: task.progress,
    result: task.result,
    error: task.error && {
      fault: task.error.body as Write<"MethodFault">,
      localizedMessage: task.error.message,
    },
    reason: { $type: "TaskReasonUser", userName: task.userName },
    queueTime: time(task.queuedMs)!,
    startTime: time(task.startedMs),
    completeTime: time(task.endedMs),
    eventChainId: 1,
  };
}

export type { SimTask };

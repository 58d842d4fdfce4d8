// Waiting for a task: by the collector's long poll; by asking every two seconds where a server or a middle box forbids that.
import { Fault, isFault, sleep } from "#core";
import { readObject, waitForProperties } from "./collector.ts";
import type { Session } from "./session.ts";
import type { Read, Ref } from "./soap/types.ts";
import { vimFault, type FaultData } from "./soap/vim-fault.ts";

export interface TaskWait {
  readonly signal?: AbortSignal | undefined;
  /** Hears of progress in percent, as far as the server tells. */
  readonly onProgress?: ((percent: number) => void) | undefined;
}

export interface Tasks {
  /** Resolves with the task's result; rejects with its fault. An abort ends the waiting, never the task. `doing` is for the message. */
  wait(task: Ref, doing: string, options?: TaskWait): Promise<unknown>;
  /** How a task stands; undefined when the server has forgotten it. */
  info(task: Ref, signal?: AbortSignal): Promise<Read<"TaskInfo"> | undefined>;
}

type Ended =
  { readonly kind: "done"; readonly result: unknown } | { readonly kind: "failed"; readonly fault: Fault };

export function tasksOf(session: Session): Tasks {
  const info = async (task: Ref, signal?: AbortSignal) =>
    (await readObject(session, "Task", task, ["info"], signal))?.info;

  async function poll(
    task: Ref,
    judge: (info: Read<"TaskInfo">) => Ended | undefined,
    signal: AbortSignal | undefined,
  ) {
    for (;;) {
      const now = await info(task, signal);
      if (!now) throw new Fault("NotFound", `task ${task.value} is gone`);
      const ended = judge(now);
      if (ended) return ended;
      await sleep(session.clock, 2_000, signal);
    }
  }

  return {
    info,
    async wait(task, doing, options = {}) {
      let lastProgress = -1;
      const judge = (now: Read<"TaskInfo">): Ended | undefined => {
        if (now.progress !== undefined && now.progress !== lastProgress)
          options.onProgress?.((lastProgress = now.progress));
        return outcome(doing, now);
      };
      const ended = await waitForProperties(
        session,
        { type: "Task", ref: task },
        ["info"],
        ({ info: now }) => (now ? judge(now) : undefined),
        options.signal,
      ).catch((error: unknown) => {
        // The wait failed, not the task: a middle box cut it, the collector is not allowed or went with its session.
        if (options.signal?.aborted || isFault(error, "Unauthorized", "Cancelled")) throw error;
        return poll(task, judge, options.signal);
      });
      if (ended.kind === "failed") throw ended.fault;
      return ended.result;
    },
  };
}

/** What became of a task; undefined while it runs. Pure. */
export function outcome(doing: string, info: Read<"TaskInfo">): Ended | undefined {
  if (info.state === "success") return { kind: "done", result: info.result };
  if (info.state !== "error") return undefined;
  const { fault, localizedMessage } = info.error ?? {};
  const data = { $type: "SystemError", ...fault } as unknown as FaultData;
  return { kind: "failed", fault: vimFault(doing, localizedMessage ?? "", data) };
}

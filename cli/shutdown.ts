// Signals become one AbortSignal. The first asks politely; a second one, or five seconds of silence, ends the process.

export interface Shutdown {
  readonly signal: AbortSignal;
  /** Stops listening; call it when the command has ended by itself. */
  dispose(): void;
}

export function shutdownOnSignals(
  process: Pick<NodeJS.Process, "on" | "off" | "exit">,
  note: (text: string) => void,
  limitMs = 5_000,
): Shutdown {
  const controller = new AbortController();
  let watchdog: NodeJS.Timeout | undefined;
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(130);
    note(`${name}: stopping`);
    watchdog = setTimeout(() => {
      note(`not stopped within ${limitMs / 1000} s; ending now (nothing that was accepted is lost)`);
      process.exit(1);
    }, limitMs);
    watchdog.unref();
    controller.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    signal: controller.signal,
    dispose() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
      clearTimeout(watchdog);
    },
  };
}

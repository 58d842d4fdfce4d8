/** Waits for the signal, then closes. Resolves when closed. */
export function untilStopped(signal: AbortSignal, close: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => close().then(resolve, reject);
    if (signal.aborted) void end();
    else signal.addEventListener("abort", () => void end(), { once: true });
  });
}

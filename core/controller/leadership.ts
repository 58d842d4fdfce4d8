// One at a time: of several processes that want to act on the same things, one leads and the others wait.
//
//   L1. Work gets a signal that aborts when leadership is lost, before anybody else can lead (as far as clocks run evenly).
//   L2. `lead` returns only after its work has ended.
//   L3. Losing the lead is not the end: `lead` waits for its next turn, until its own signal aborts.
//   L4. A writer that missed its dismissal is stopped by the store: its writes carry stale revisions.

export interface Leadership {
  /**
   * Waits for the lead, runs `work` under it, and gives the lead up when the work ends. Runs the work again if the lead was
   * lost and won back. Resolves when the work ended by itself or the signal aborted; rejects with what the work threw.
   */
  lead(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void>;
}

/** For what only ever runs once: leads at once. */
export const soleLeadership: Leadership = {
  lead: async (work, signal) => {
    if (!signal.aborted) await work(signal);
  },
};

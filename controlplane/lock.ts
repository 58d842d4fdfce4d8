// One process a data directory.
import { Fault, fileLeadership, linkAbort, type Clock, type Logger } from "#core";

/**
 * Takes the lock, waiting up to `patienceMs` for one who is just ending; Busy when another keeps it. The kernel lets go of it when the
 * holder dies. Gives what releases it; twice is once.
 */
export function takeLock(
  path: string,
  deps: { readonly clock: Clock; readonly log: Logger },
  patienceMs: number,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const leadership = fileLeadership(deps, { path, identity: `pid ${process.pid}` });
  const trying = linkAbort(signal);
  return new Promise((resolve, reject) => {
    let taken = false;
    let release = () => {};
    const cancel = deps.clock.after(patienceMs, () => trying.abort());
    const held = leadership.lead(() => {
      taken = true;
      cancel();
      trying.unlink();
      return new Promise<void>((done) => {
        release = done;
        resolve(async () => {
          release();
          await held;
        });
      });
    }, trying.signal);
    held.then(
      () => {
        cancel();
        if (taken) return;
        const code = signal.aborted ? "Cancelled" : "Busy";
        reject(new Fault(code, `another process runs the control plane that ${path} belongs to`));
      },
      (error: unknown) => {
        cancel();
        reject(Fault.from(error, `locking ${path}`));
      },
    );
  });
}

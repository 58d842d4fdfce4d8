// Whether somebody answers at an address: a TCP connection, for a second.
import { connect } from "node:net";
import type { Clock } from "#core";

const patienceMs = 1_000;

/** True where a connection is taken. A refusal is no answer: it may come from a router, or from a host without such a server. */
export function takesConnections({ after }: Pick<Clock, "after">) {
  return (at: { readonly host: string; readonly port: number }, signal: AbortSignal): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect({ ...at, signal });
      const done = (answer: boolean) => {
        cancel();
        socket.destroy();
        resolve(answer);
      };
      const cancel = after(patienceMs, () => done(false));
      socket.once("connect", () => done(true)).on("error", () => done(false));
    });
}

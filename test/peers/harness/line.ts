// A TCP line between two programs of a test, which can be cut and mended while they run.
import { connect, createServer, type Socket } from "node:net";

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** "refused": as where nobody listens any more. "silent": as where every packet is lost; what was under way goes on when it is mended. */
export type Cut = "refused" | "silent";

export interface Line extends Place {
  /** From now on nothing goes through. */
  cut(how?: Cut): void;
  /** From now on everything does. */
  mend(): void;
  close(): Promise<void>;
}

interface Pair {
  readonly near: Socket;
  /** Absent until it is let through. */
  far?: Socket;
}

/** Listens at `at` (a free port of 127.0.0.1 unless told), and brings each connection to `to`. */
export async function openLine(to: Place, at: Place = { host: "127.0.0.1", port: 0 }): Promise<Line> {
  const pairs = new Set<Pair>();
  let is: Cut | "whole" = "whole";

  const hold = ({ near, far }: Pair) => {
    near.unpipe().pause();
    far?.unpipe().pause();
  };
  const letThrough = (pair: Pair) => {
    const { near } = pair;
    const far = (pair.far ??= ended(pair, connect(to.port, to.host)));
    near.pipe(far).pipe(near);
  };
  const ended = (pair: Pair, socket: Socket) => {
    const over = () => {
      pairs.delete(pair);
      pair.near.destroy();
      pair.far?.destroy();
    };
    return socket.once("error", over).once("close", over);
  };
  const hangUp = () => {
    for (const { near, far } of pairs) {
      near.resetAndDestroy();
      far?.destroy();
    }
  };

  const server = createServer((near) => {
    if (is === "refused") return void near.resetAndDestroy();
    const pair: Pair = { near };
    pairs.add(pair);
    ended(pair, near);
    if (is === "whole") letThrough(pair);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(at.port, at.host, () => resolve());
  });
  const { port } = server.address() as { port: number };
  return {
    host: at.host,
    port,
    cut(how = "refused") {
      is = how;
      if (how === "refused") hangUp();
      else for (const pair of pairs) hold(pair);
    },
    mend() {
      const was = is;
      is = "whole";
      if (was === "silent") for (const pair of pairs) letThrough(pair);
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      hangUp();
      await closed;
    },
  };
}

// Lines of a stream, with an eye on its silence.
import { Fault } from "../../fault.ts";
import type { Clock } from "../../time/clock.ts";

export interface LineLimits {
  readonly clock: Clock;
  /** A stream that is silent for so long counts as dead, milliseconds. Only waiting counts, not the reader's own work. */
  readonly idleMs: number;
  /** Characters; 64 Mi unless told. */
  readonly maxLine?: number;
}

/** Thrown into the reader when the stream was silent for too long. */
export class Silence extends Error {
  constructor(idleMs: number) {
    super(`nothing came for ${idleMs} ms`);
    this.name = "Silence";
  }
}

/** Each line without its end; what follows the last end is a line if it is not empty. */
export async function* lines(
  chunks: AsyncIterator<Uint8Array>,
  { clock, idleMs, maxLine = 64 * 1024 * 1024 }: LineLimits,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  let size = 0;
  for (;;) {
    const chunk = await nextWithin(chunks, clock, idleMs);
    if (chunk.done) break;
    const [first, ...others] = decoder.decode(chunk.value, { stream: true }).split("\n");
    parts.push(first ?? "");
    size += first?.length ?? 0;
    if (size > maxLine) throw new Fault("Unavailable", `a line of more than ${maxLine} characters`);
    for (const other of others) {
      yield parts.join("");
      parts = [other];
      size = other.length;
    }
  }
  const rest = parts.join("") + decoder.decode();
  if (rest) yield rest;
}

function nextWithin(
  chunks: AsyncIterator<Uint8Array>,
  clock: Clock,
  idleMs: number,
): Promise<IteratorResult<Uint8Array>> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(idleMs, () => reject(new Silence(idleMs)));
    chunks.next().then(resolve, reject).finally(cancel);
  });
}

import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";

/** A file for log lines, of its owner's eyes only. */
export async function logFile(
  path: string,
): Promise<{ readonly path: string; write(line: string): void; close(): Promise<void> }> {
  const stream = createWriteStream(path, { mode: 0o600, flags: "w" });
  await new Promise<void>((resolve, reject) => stream.once("open", () => resolve()).once("error", reject));
  return {
    path,
    write: (line) => void stream.write(line),
    async close() {
      stream.end();
      await finished(stream);
    },
  };
}

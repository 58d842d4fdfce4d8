// What a command gets of the world. Made once in main.ts; tests make their own.
import type { Clock, Logger, LogLevel } from "#core";
import type { Output } from "./output.ts";

export interface World {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly output: Output;
  /** For short commands: warnings and errors, on standard error. */
  readonly log: Logger;
  /** For long-running programs: JSON lines on standard output. */
  readonly logAt: (level: LogLevel) => Logger;
  /** Resident memory of this process, bytes. */
  readonly memory: () => number;
  /** Aborts at SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  readonly version: string;
}

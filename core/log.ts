// Structured logs: constant words, everything that varies as keys, durations in `...Ms`.
// Secrets are safe by type (core/secret.ts); keys that smell of secrets are blanked as well, for values that came from elsewhere.
import { pino, type Logger as PinoLogger } from "pino";

export type Fields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A logger whose lines all carry these fields. */
  child(fields: Fields): Logger;
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

const smelly = [
  "password",
  "token",
  "secret",
  "apiKey",
  "authorization",
  "privateKey",
  "kubeconfig",
  "userdata",
];

/** Logs JSON lines to `write` (one call a line). */
export function jsonLogger(level: LogLevel, write: (line: string) => void): Logger {
  const redact = { paths: smelly.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: "***" };
  return wrap(pino({ level, redact, base: null, timestamp: pino.stdTimeFunctions.isoTime }, { write }));
}

function wrap(to: PinoLogger): Logger {
  return {
    debug: (message, fields) => to.debug(plain(fields), message),
    info: (message, fields) => to.info(plain(fields), message),
    warn: (message, fields) => to.warn(plain(fields), message),
    error: (message, fields) => to.error(plain(fields), message),
    child: (fields) => wrap(to.child(plain(fields))),
  };
}

function plain(fields: Fields = {}): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields))
    shown[key] = value instanceof Error ? describe(value) : value;
  return shown;
}

function describe(error: Error): unknown {
  const code = (error as { code?: unknown }).code;
  const cause = error.cause instanceof Error ? describe(error.cause) : undefined;
  return {
    message: error.message,
    ...(code ? { code } : {}),
    ...(code === "Bug" ? { stack: error.stack } : {}),
    ...(cause ? { cause } : {}),
  };
}

/** A logger that says nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};

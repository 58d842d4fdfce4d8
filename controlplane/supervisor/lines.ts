// What programs write, line by line: how bad it is, what it says. Pure but for the budget's own count.

export type Severity = "debug" | "warn" | "error";

export interface Line {
  readonly severity: Severity;
  readonly text: string;
}

/** Longer lines are cut. */
const longest = 2000;

/** klog: "I1127 22:06:00.123456    4711 file.go:12] text". */
const klog = /^([IWEF])\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ ([^\]]+\] )?/;

const severities: Readonly<Record<string, Severity>> = { I: "debug", W: "debug", E: "warn", F: "error" };

/**
 * A line of klog's or of zap's JSON (etcd). What the programs call information or warning is a debugger's matter here, and what they call
 * an error is mostly tried again a moment later: a warning. Anything else they write is, too: a panic, a usage text.
 */
export function parseLine(line: string): Line {
  const [head, letter = ""] = klog.exec(line) ?? [];
  if (head) return { severity: severities[letter] ?? "warn", text: cut(line.slice(head.length)) };
  if (line.startsWith('{"level":"')) return ofJson(line);
  return { severity: "warn", text: cut(line) };
}

const levels: Readonly<Record<string, Severity>> = {
  debug: "debug",
  info: "debug",
  warn: "debug",
  error: "warn",
  panic: "error",
  fatal: "error",
};

function ofJson(line: string): Line {
  try {
    const {
      level,
      msg,
      ts: _ts,
      caller: _caller,
      stacktrace: _stack,
      ...rest
    } = JSON.parse(line) as Record<string, unknown>;
    const details = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : "";
    return { severity: levels[String(level)] ?? "warn", text: cut(`${String(msg)}${details}`) };
  } catch {
    return { severity: "warn", text: cut(line) };
  }
}

/** Whether a line is part of a Go stack: where it came from, and not what happened. */
export function isStack(line: string): boolean {
  return /^(\t|goroutine \d+ |created by |[\w.\-/%]+(\([^)]*\))?\.?[\w.*()]*\(.*\)$|\[signal |exit status )/.test(
    line,
  );
}

function cut(text: string): string {
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}

/** Lets `perSecond` lines through on average and `burst` at once; tells, with the next that passes, how many did not. */
export class LineBudget {
  readonly #perSecond: number;
  readonly #burst: number;
  #left: number;
  #at: number | undefined;
  #dropped = 0;

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#left = burst;
  }

  /** Whether one may pass now; then `dropped` says how many before it did not. */
  pass(now: number): { readonly dropped: number } | undefined {
    const gone = Math.max(0, now - (this.#at ?? now));
    this.#at = now;
    this.#left = Math.min(this.#burst, this.#left + (gone * this.#perSecond) / 1000);
    if (this.#left < 1) {
      this.#dropped++;
      return undefined;
    }
    this.#left--;
    const dropped = this.#dropped;
    this.#dropped = 0;
    return { dropped };
  }
}

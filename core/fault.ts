// The one error class, and its closed set of codes. Each code has one fate:
//
//   code                              in a controller                        over HTTP
//   NotFound AlreadyExists            the caller decides                     404, 409
//   Conflict                          look again at the world, try again     409
//   Gone                              list again                             410
//   Invalid                           a condition; no retry until it changes 422
//   Unauthorized Forbidden            retried: grants change                 401, 403
//   Unavailable TimedOut Busy         retried with back-off                  503, 504, 429
//   Cancelled                         silence                                499
//   Bug                               retried, logged with its stack         500
//
// When in doubt a fault is transient: a needless retry is cheap, a needless stop is a support ticket.

export const faultCodes = {
  NotFound: 404,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Invalid: 422,
  Unauthorized: 401,
  Forbidden: 403,
  Unavailable: 503,
  TimedOut: 504,
  Busy: 429,
  Cancelled: 499,
  Bug: 500,
} as const;

export type FaultCode = keyof typeof faultCodes;

/** One mistake in something a person wrote: where it stands and what is wrong with it. */
export interface Problem {
  /** The place in the user's words: a field path, a flag, a variable. */
  readonly field: string;
  readonly message: string;
}

export interface FaultOptions {
  readonly cause?: unknown;
  /** All mistakes found, when the code is Invalid. */
  readonly problems?: readonly Problem[];
  /** When to try again, in milliseconds, where the other side said so. */
  readonly retryAfterMs?: number;
}

/** Something that went wrong, with a code that decides what happens next. The message says what was being done, to what. */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly problems: readonly Problem[];
  readonly retryAfterMs: number | undefined;

  constructor(code: FaultCode, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Fault";
    this.code = code;
    this.problems = options.problems ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }

  /** The HTTP status that stands for this code. */
  get status(): number {
    return faultCodes[this.code];
  }

  /** Turns anything thrown into a Fault; a Fault comes back as it is, an abort becomes Cancelled, network errors Unavailable. */
  static from(error: unknown, doing?: string): Fault {
    if (error instanceof Fault) return error;
    const message = error instanceof Error ? error.message : String(error);
    const text = doing ? `${doing}: ${message}` : message;
    return new Fault(codeOf(error), text, { cause: error });
  }
}

const networkErrors = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_SOCKET",
  "UND_ERR_CONNECT_TIMEOUT",
]);

function codeOf(error: unknown): FaultCode {
  if (!(error instanceof Error)) return "Bug";
  if (error.name === "AbortError") return "Cancelled";
  const code = (error as { code?: unknown }).code;
  if (error.name === "TimeoutError" || code === "ETIMEDOUT") return "TimedOut";
  if (typeof code === "string" && networkErrors.has(code)) return "Unavailable";
  return error.cause instanceof Error ? codeOf(error.cause) : "Bug";
}

/** True where another try may succeed without anybody changing what was asked for. */
export function isTransient(code: FaultCode): boolean {
  return code !== "Invalid" && code !== "Cancelled";
}

/** True when `error` is a Fault with one of these codes. */
export function isFault(error: unknown, ...codes: FaultCode[]): error is Fault {
  return error instanceof Fault && (codes.length === 0 || codes.includes(error.code));
}

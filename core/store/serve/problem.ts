// Faults as the `Status` objects of a Kubernetes API, in its own words, so that clients recognise them and kubectl prints what it
// always prints (k8s.io/apimachinery/pkg/api/errors; API conventions, "Response Status Kind").
import { Fault, type FaultCode, type Problem } from "../../fault.ts";
import { groupResource, type Kind } from "../../resource/kind.ts";

export interface StatusBody {
  readonly kind: "Status";
  readonly apiVersion: "v1";
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly status: "Success" | "Failure";
  readonly message?: string;
  readonly reason?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly code?: number;
}

/** Which object a request was about, as far as it said. */
export interface About {
  readonly kind?: Kind;
  readonly name?: string;
}

/** A refusal whose HTTP status has no fault code of its own: 400, 405, 406, 413, 415. */
export class Refusal extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.name = "Refusal";
    this.status = status;
    this.reason = reason;
  }
}

export const badRequest = (message: string) => new Refusal(400, "BadRequest", message);

const reasons: Record<FaultCode, string> = {
  NotFound: "NotFound",
  AlreadyExists: "AlreadyExists",
  Conflict: "Conflict",
  Gone: "Expired",
  Invalid: "Invalid",
  Unauthorized: "Unauthorized",
  Forbidden: "Forbidden",
  Unavailable: "ServiceUnavailable",
  TimedOut: "Timeout",
  Busy: "TooManyRequests",
  Cancelled: "ServiceUnavailable",
  Bug: "InternalError",
};

/** What the client is told. Messages that Kubernetes has words for are in those words; the store's own are kept for the rest. Pure. */
export function statusOf(error: unknown, about: About = {}): StatusBody {
  if (error instanceof Refusal) return failure(error.status, error.reason, error.message, about);
  const fault = Fault.from(error);
  const code = fault.code === "Cancelled" ? 503 : fault.status;
  const causes = fault.problems.map((problem) => cause(fault.code, problem));
  return failure(code, reasons[fault.code], wording(fault, about), about, {
    ...(causes.length > 0 ? { causes } : {}),
    ...(fault.retryAfterMs === undefined ? {} : { retryAfterSeconds: Math.ceil(fault.retryAfterMs / 1000) }),
  });
}

function failure(
  code: number,
  reason: string,
  message: string,
  about: About,
  more: Record<string, unknown> = {},
): StatusBody {
  const details = { ...namesOf(about, reason === "Invalid"), ...more };
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    ...(Object.keys(details).length > 0 ? { details } : {}),
    code,
  };
}

/** Names as `details` has them: the plural, but for Invalid, where it is the kind. */
function namesOf({ kind, name }: About, byKind: boolean): Record<string, unknown> {
  return {
    ...(name === undefined ? {} : { name }),
    ...(kind?.group ? { group: kind.group } : {}),
    ...(kind ? { kind: byKind ? kind.kind : kind.plural } : {}),
  };
}

function cause(code: FaultCode, { field, message }: Problem): Record<string, string> {
  return { reason: code === "Conflict" ? "FieldManagerConflict" : "FieldValueInvalid", message, field };
}

function wording(fault: Fault, { kind, name }: About): string {
  if (!kind) return fault.message;
  const subject = `${groupResource(kind)} "${name ?? ""}"`;
  switch (fault.code) {
    case "NotFound":
      return name === undefined ? fault.message : `${subject} not found`;
    case "AlreadyExists":
      return `${subject} already exists`;
    case "Conflict":
      if (fault.problems.length > 0) return fault.message; // between appliers: it names the fields
      return `Operation cannot be fulfilled on ${subject}: ${conflict(fault.message)}`;
    case "Invalid":
      return invalid(fault, kind, name);
    default:
      return fault.message;
  }
}

function conflict(message: string): string {
  if (/precondition|uid/i.test(message)) return message;
  return "the object has been modified; please apply your changes to the latest version and try again";
}

function invalid(fault: Fault, kind: Kind, name: string | undefined): string {
  const subject = `${kind.group ? `${kind.kind}.${kind.group}` : kind.kind} "${name ?? ""}" is invalid`;
  const mistakes = fault.problems.map(({ field, message }) => (field ? `${field}: ${message}` : message));
  if (mistakes.length === 0) return `${subject}: ${fault.message}`;
  return `${subject}: ${mistakes.length === 1 ? mistakes[0] : `[${mistakes.join(", ")}]`}`;
}

/** The answer to a deletion that left nothing behind. */
export function deleted(kind: Kind, name: string, uid: string | undefined): StatusBody {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: { ...namesOf({ kind, name }, false), ...(uid === undefined ? {} : { uid }) },
  };
}

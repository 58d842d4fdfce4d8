// What an API server's refusals mean to us: its Status objects (kubernetes/apimachinery pkg/apis/meta/v1) as Faults.
import { Fault, type FaultCode, type Problem } from "../../fault.ts";

interface Status {
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: {
    readonly name?: string;
    readonly kind?: string;
    readonly causes?: readonly {
      readonly reason?: string;
      readonly field?: string;
      readonly message?: string;
    }[];
    readonly retryAfterSeconds?: number;
  };
}

/** The fault for an answer that is no success. `doing` says what was being done, to what. Pure. */
export function faultOf(
  doing: string,
  answer: { readonly status: number; readonly body: unknown; readonly retryAfter?: string | undefined },
): Fault {
  const status = statusIn(answer.body);
  const text = status?.message ?? (typeof answer.body === "string" ? answer.body.trim().slice(0, 200) : "");
  const problems: Problem[] = (status?.details?.causes ?? [])
    .filter((cause) => cause.field !== undefined)
    .map((cause) => ({ field: cause.field ?? "", message: cause.message ?? "is not valid" }));
  const seconds = Number(answer.retryAfter ?? status?.details?.retryAfterSeconds);
  return new Fault(codeOf(answer.status, status), `${doing}: ${text || `HTTP status ${answer.status}`}`, {
    problems,
    ...(seconds > 0 ? { retryAfterMs: seconds * 1000 } : {}),
  });
}

/** Whether a 404 says that this one object is missing, and not that the server knows nothing of its kind. */
export function isMissingObject(body: unknown): boolean {
  const status = statusIn(body);
  return status?.reason === "NotFound" && status.details?.name !== undefined;
}

function statusIn(body: unknown): Status | undefined {
  const isStatus =
    typeof body === "object" && body !== null && (body as { kind?: unknown }).kind === "Status";
  return isStatus ? (body as Status) : undefined;
}

function codeOf(http: number, status: Status | undefined): FaultCode {
  if (status?.reason === "AlreadyExists") return "AlreadyExists";
  if (status?.reason === "Expired" || status?.reason === "Gone") return "Gone";
  switch (http) {
    case 400:
    case 413:
    case 422:
      return "Invalid";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "NotFound";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 429:
      return "Busy";
    case 408:
    case 504:
      return "TimedOut";
    default:
      return http >= 500 ? "Unavailable" : "Bug"; // an API server's 500 is a webhook or etcd in trouble: it passes
  }
}

// Every error leaves in Palette's shape: { code, message, ref, details }.
import { randomUUID } from "node:crypto";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { Fault, isFault, type FaultCode, type Logger, type Problem } from "#core";
import { Refusal } from "../refusal.ts";
import { invalid } from "../clusters.ts";

const words: Readonly<Record<FaultCode, string>> = {
  NotFound: "ResourceNotFound",
  AlreadyExists: "DuplicateName",
  Conflict: "Conflict",
  Gone: "Gone",
  Invalid: "ValidationFailed",
  Unauthorized: "Unauthorized",
  Forbidden: "Forbidden",
  Unavailable: "ServiceUnavailable",
  TimedOut: "TimedOut",
  Busy: "TooManyRequests",
  Cancelled: "Cancelled",
  Bug: "InternalError",
};

export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly ref: string;
  readonly details?: { readonly problems: readonly Problem[] };
}

export function errorHandler(log: Logger) {
  return (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
    const fault = faultOf(error);
    const ref = randomUUID();
    const status = fault.status;
    if (status >= 500)
      log[isFault(fault, "Bug") ? "error" : "warn"]("a call failed", {
        ref,
        method: request.method,
        path: request.routeOptions.url,
        error: fault,
      });
    else
      log.debug("a call was refused", {
        ref,
        method: request.method,
        path: request.routeOptions.url,
        error: fault,
      });
    if (fault.retryAfterMs !== undefined)
      void reply.header("retry-after", Math.ceil(fault.retryAfterMs / 1000));
    return reply.code(status).send(bodyOf(fault, ref));
  };
}

export function notFoundHandler(request: FastifyRequest, reply: FastifyReply) {
  const fault = new Refusal(
    "NotFound",
    "RouteNotFound",
    `there is no ${request.method} ${request.url.split("?")[0] ?? ""}; see /v1/openapi.json`,
  );
  return reply.code(404).send(bodyOf(fault, randomUUID()));
}

export function bodyOf(fault: Fault, ref: string): ErrorBody {
  const code = fault instanceof Refusal ? fault.word : words[fault.code];
  const message =
    fault.code === "Bug" ? `something went wrong in the plane; its log has more under ${ref}` : fault.message;
  return {
    code,
    message,
    ref,
    ...(fault.problems.length > 0 ? { details: { problems: fault.problems } } : {}),
  };
}

function faultOf(error: FastifyError): Fault {
  if (error instanceof Fault) return error;
  if (hasZodFastifySchemaValidationErrors(error)) {
    const place = error.validationContext === "body" ? "" : `${error.validationContext ?? "request"}.`;
    return invalid(
      error.validation.map((issue) => ({
        field: place + fieldOf(issue.instancePath) || "body",
        message: issue.message ?? "is not valid",
      })),
    );
  }
  switch (error.statusCode) {
    case 429:
      return error instanceof Fault ? error : new Refusal("Busy", "TooManyRequests", error.message);
    case 413:
      return new Refusal("Invalid", "BodyTooLarge", "the body is larger than 1 MiB");
    case 400:
    case 415:
      return new Refusal("Invalid", "MalformedRequest", `the request cannot be read: ${error.message}`);
    default:
      return Fault.from(error);
  }
}

/** "/spec/machinepoolconfig/0/poolConfig" → "spec.machinepoolconfig[0].poolConfig". */
function fieldOf(pointer: string): string {
  return pointer
    .split("/")
    .filter((part) => part !== "")
    .reduce((path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : path ? `${path}.${part}` : part), "");
}

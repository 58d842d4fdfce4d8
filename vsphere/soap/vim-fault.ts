// A fault that vCenter answered with: its type, its fields, and the code of ours that decides what happens next.
import { Fault, type FaultCode } from "#core";
import { isA } from "./table.ts";
import type { Ref } from "./types.ts";

/** Fields of a fault as read; `$type` is its name in the vim25 interface. */
export type FaultData = Readonly<Record<string, unknown>> & { readonly $type: string };

/** A vim25 fault. `type` is exact ("InvalidLogin"), `code` is what to do about it. */
export class VimFault extends Fault {
  readonly type: string;
  readonly data: FaultData;

  constructor(message: string, data: FaultData) {
    super(codeFor(data.$type), message);
    this.name = "VimFault";
    this.type = data.$type;
    this.data = data;
  }

  /** True when the fault is of this type or of one derived from it. */
  is(type: string): boolean {
    return isA(this.type, type);
  }
}

/** True when `error` is a VimFault of `type` or of one derived from it. */
export function isVimFault(error: unknown, type: string): error is VimFault {
  return error instanceof VimFault && error.is(type);
}

// The first row that fits decides, so subtypes stand before their bases.
const codes: readonly (readonly [string, FaultCode])[] = [
  ["InvalidLogin", "Unauthorized"],
  ["NotAuthenticated", "Unauthorized"],
  ["NoPermission", "Forbidden"],
  ["SecurityError", "Forbidden"],
  ["ManagedObjectNotFound", "NotFound"],
  ["FileNotFound", "NotFound"],
  ["NotFound", "NotFound"],
  ["DuplicateName", "AlreadyExists"],
  ["FileAlreadyExists", "AlreadyExists"],
  ["AlreadyExists", "AlreadyExists"],
  ["InvalidPowerState", "Conflict"],
  ["InvalidState", "Conflict"],
  ["ConcurrentAccess", "Conflict"],
  ["TaskInProgress", "Busy"],
  ["ResourceInUse", "Busy"],
  ["Timedout", "TimedOut"],
  ["InvalidCollectorVersion", "Gone"],
  ["InvalidArgument", "Invalid"],
  ["InvalidName", "Invalid"],
  ["InvalidFolder", "Invalid"],
  ["InvalidProperty", "Invalid"],
  ["InvalidRequest", "Invalid"],
  ["NotSupported", "Invalid"],
  ["NotImplemented", "Invalid"],
];

/** The code of a fault type; what the table does not name is Unavailable, thus tried again. */
export function codeFor(type: string): FaultCode {
  return codes.find(([base]) => isA(type, base))?.[1] ?? "Unavailable";
}

/** A fault in the words of an operator. `doing` says what was tried, to what; `text` is the server's own sentence. */
export function vimFault(doing: string, text: string, data: FaultData): VimFault {
  return new VimFault(`${doing}: ${explain(text, data)}`, data);
}

function explain(text: string, data: FaultData): string {
  const server = text.trim().replace(/\.$/, "");
  switch (data.$type) {
    case "InvalidLogin":
      return "vCenter refuses the user name or password; correct them, or see whether the account is locked";
    case "NotAuthenticated":
      return "the session has ended";
    case "NoPermission":
      return `the account lacks the privilege ${missingPrivilege(data)}; grant it there, or ask for another account`;
    case "ManagedObjectNotFound":
      return `${refText(data.obj)} is gone or was never there`;
    case "DuplicateName":
      return `the name '${String(data.name)}' is taken by ${refText(data.object)}`;
    case "InvalidPowerState":
      return `it is ${String(data.existingState)}${data.requestedState ? `, not ${String(data.requestedState)}` : ""}`;
    case "InvalidArgument":
      return `${server || "an argument is not valid"}${data.invalidProperty ? ` (${String(data.invalidProperty)})` : ""}`;
    case "NoDiskSpace":
      return `datastore '${String(data.datastore)}' has no room left`;
    default:
      return server === "" || server === data.$type ? data.$type : `${server} (${data.$type})`;
  }
}

function missingPrivilege(data: FaultData): string {
  const one = data.privilegeId ? `${String(data.privilegeId)} on ${refText(data.object)}` : undefined;
  const many =
    (data.missingPrivileges as readonly { entity: Ref; privilegeIds: readonly string[] }[] | undefined) ?? [];
  return (
    one ??
    (many.map((each) => `${each.privilegeIds.join(", ")} on ${refText(each.entity)}`).join("; ") ||
      "it needs")
  );
}

function refText(ref: unknown): string {
  const { type, value } = (ref ?? {}) as Partial<Ref>;
  return type && value ? `${type} ${value}` : "an object";
}

// A fault as vCenter tells it: thrown by a handler, written into the SOAP answer or the task's error.
import type { Ref } from "#vsphere";
import type { Write } from "#vsphere/soap/types.ts";

export type FaultBody = Write<"MethodFault"> & { readonly $type: string };

export class SimFault extends Error {
  readonly body: { readonly $type: string };
  constructor(message: string, body: FaultBody) {
    super(message);
    this.body = body;
  }
}

export function gone(ref: Ref): SimFault {
  const text = `The object '${ref.type}:${ref.value}' has already been deleted or has not been completely created`;
  return new SimFault(text, { $type: "ManagedObjectNotFound", obj: ref });
}

export function denied(object: Ref, privilegeId: string): SimFault {
  return new SimFault("Permission to perform this operation was denied.", {
    $type: "NoPermission",
    object,
    privilegeId,
  });
}

export function invalidArgument(property: string): SimFault {
  return new SimFault("A specified parameter was not correct: " + property, {
    $type: "InvalidArgument",
    invalidProperty: property,
  });
}

export function notAuthenticated(): SimFault {
  return new SimFault("The session is not authenticated.", {
    $type: "NotAuthenticated",
    object: { type: "Folder", value: "group-d1" },
    privilegeId: "System.View",
  });
}

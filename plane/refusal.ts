// A Fault that carries the word the REST face answers with in `code`, where the fault's own code is too coarse.
import { Fault, type FaultCode, type FaultOptions } from "#core";

export class Refusal extends Fault {
  /** "PairingCodeExpired": for programs; stable. */
  readonly word: string;

  constructor(code: FaultCode, word: string, message: string, options?: FaultOptions) {
    super(code, message, options);
    this.word = word;
  }
}

/** What is asked for is not there, or not this tenant's: the answer is the same. */
export function notFound(kind: string, uid: string): Refusal {
  return new Refusal("NotFound", "ResourceNotFound", `${kind} '${uid}' was not found`);
}

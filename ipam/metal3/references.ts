// What admission refuses of Metal3's claims and addresses: references that name nothing, and those that change.
import type { Problem } from "#core";
import type { Metal3IPAddress, Metal3IPClaim } from "#proto";
import { parseAddress } from "../address.ts";
import { wantedAnnotation } from "./words.ts";

type Reference = Metal3IPClaim["spec"]["pool"];

/** Of a claim, on update in comparison with the former. Pure. */
export function metal3ClaimProblems(claim: Metal3IPClaim, former?: Metal3IPClaim): readonly Problem[] {
  return [
    ...named("spec.pool", claim.spec.pool),
    ...unchanged("spec.pool", claim.spec.pool, former?.spec.pool),
    ...annotated(claim),
  ];
}

/** Of an address, on update in comparison with the former. Pure. */
export function metal3AddressProblems(
  address: Metal3IPAddress,
  former?: Metal3IPAddress,
): readonly Problem[] {
  const { spec } = address;
  const isOther = former !== undefined && former.spec.address !== spec.address;
  return [
    ...named("spec.pool", spec.pool),
    ...named("spec.claim", spec.claim),
    ...addressed("spec.address", spec.address),
    ...(isOther ? [{ field: "spec.address", message: "cannot be modified; make another claim" }] : []),
    ...unchanged("spec.pool", spec.pool, former?.spec.pool),
    ...unchanged("spec.claim", spec.claim, former?.spec.claim),
    ...annotated(address),
  ];
}

function named(field: string, { name }: Reference): Problem[] {
  return name ? [] : [{ field: `${field}.name`, message: "cannot be empty" }];
}

function unchanged(field: string, now: Reference, former: Reference | undefined): Problem[] {
  if (!former) return [];
  return (["name", "namespace", "kind"] as const)
    .filter((part) => (now[part] ?? "") !== (former[part] ?? ""))
    .map((part) => ({ field: `${field}.${part}`, message: "cannot be modified; make another claim" }));
}

function annotated({ metadata }: Metal3IPClaim | Metal3IPAddress): Problem[] {
  const text = metadata.annotations?.[wantedAnnotation];
  return text === undefined ? [] : addressed(`metadata.annotations[${wantedAnnotation}]`, text);
}

function addressed(field: string, text: string): Problem[] {
  return parseAddress(text)
    ? []
    : [{ field, message: `${JSON.stringify(text)} is not a valid IP address; write it without a prefix` }];
}

// Identity of the dialling side: codes, proofs, enrolment, renewal, and the check of signed desired state. Shared by gateways,
// agents and the plane; it knows nothing of frames and transports.
export * from "./code.ts";
export * from "./csr.ts";
export * from "./desired.ts";
export * from "./enrol.ts";
export * from "./files.ts";
export * from "./http.ts";
export * from "./identity.ts";
export * from "./proof.ts";
export * from "./renew.ts";
export * from "./uri.ts";

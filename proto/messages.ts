// What plane, gateway and agent say to one another over the link: one schema per topic. Bodies are JSON; readers ignore fields
// they do not know, so either side may be newer.
import { z } from "zod";
import { clusterStates, machineStatusSchema, milestoneSchema, spaSpecSchema } from "./kinds/spa.ts";

/** Down, class state, key = cluster uid: the whole desired state of a cluster, signed by the plane. */
export const desiredClusterTopic = "desired.cluster";
export const signedDocumentSchema = z.object({
  /** The JSON text that was signed; parse it with desiredClusterSchema after the signature holds. */
  document: z.string(),
  /** Ed25519 over the UTF-8 bytes of `document`, base64. */
  signature: z.string(),
});
export const desiredClusterSchema = z.object({
  clusterUid: z.string(),
  /** Which gateway carries it out. */
  gatewayUid: z.string(),
  counter: z.number().int().min(1),
  /** The plane knows it as a cluster that manages itself: a gateway that does not must not make it. */
  pivoted: z.boolean().optional(),
  spec: spaSpecSchema,
});
export type SignedDocument = z.infer<typeof signedDocumentSchema>;
export type DesiredCluster = z.infer<typeof desiredClusterSchema>;

/** Up, class state, key = cluster uid. From the gateway until the pivot, from the agent (machines, conditions) after it. */
export const clusterStatusTopic = "status.cluster";
export const clusterStatusSchema = z.object({
  clusterUid: z.string(),
  state: z.enum(clusterStates),
  pivoted: z.boolean(),
  observedCounter: z.number().int().optional(),
  conditions: z.array(
    z.object({
      type: z.string(),
      status: z.enum(["True", "False", "Unknown"]),
      reason: z.string(),
      message: z.string(),
      lastTransitionTime: z.string(),
    }),
  ),
  milestones: z.array(milestoneSchema).default([]),
  machines: z.array(machineStatusSchema).default([]),
  endpoint: z.object({ host: z.string(), port: z.number().int() }).optional(),
  agentVersion: z.string().optional(),
});
export type ClusterStatus = z.infer<typeof clusterStatusSchema>;

/** Up, class event, key = cluster uid, or "" for the gateway itself. */
export const eventTopic = "event";
export const eventSchema = z.object({
  /** Unique; the plane stores an event once, however often it arrives. */
  id: z.string(),
  at: z.string(),
  clusterUid: z.string().optional(),
  severity: z.enum(["Info", "Warn", "Error"]),
  reason: z.string(),
  message: z.string(),
  component: z.string(),
  involvedObject: z
    .object({ kind: z.string(), name: z.string(), namespace: z.string().optional() })
    .optional(),
  milestone: z.string().optional(),
  attempt: z.number().int().optional(),
});
export type ClusterEvent = z.infer<typeof eventSchema>;

/** Up, class state, key = "gateway" (or the cluster uid from an agent). Sent every 30 s and at changes. */
export const heartbeatTopic = "heartbeat";
export const heartbeatSchema = z.object({
  at: z.string(),
  version: z.string(),
  /** Gateways only. */
  vcenter: z
    .object({ server: z.string(), reachable: z.boolean(), message: z.string().optional() })
    .optional(),
  pools: z
    .array(
      z.object({ name: z.string(), namespace: z.string().optional(), free: z.number(), used: z.number() }),
    )
    .optional(),
  message: z.string().optional(),
});
export type Heartbeat = z.infer<typeof heartbeatSchema>;

/**
 * A gateway's or agent's first and only unauthenticated call: POST /v1/pcg/register or /v1/agents/register. The code itself never
 * crosses the wire, so who intercepts the call learns nothing that would let it change request or answer (tunnel/identity/proof.ts).
 */
export const registerRequestSchema = z.object({
  /** Names the pairing code (or an agent's enrolment token): derived from it one way, hex. */
  codeId: z.string().regex(/^[0-9a-f]{64}$/, "64 hex digits, derived from the code"),
  name: z.string().max(253).optional(),
  /** PKCS#10, PEM; the key never leaves its maker. */
  csr: z.string().max(16_384),
  /** HMAC-SHA256 with a key derived from the code, over the CSR's digest and the name, hex. */
  proof: z.string().regex(/^[0-9a-f]{64}$/, "64 hex digits"),
});
export const registerAnswerSchema = z.object({
  uid: z.string(),
  tenantUid: z.string(),
  /** PEM: the signed certificate. */
  certificate: z.string(),
  /** PEM: the certificate authority's bundle. */
  ca: z.string(),
  /** host:port of the tunnel endpoint. */
  tunnel: z.string(),
  /** Ed25519 public key (PEM) that signs desired state. */
  signingKey: z.string(),
  /** HMAC-SHA256 with the code's key over the request's CSR and every field above, hex. */
  proof: z.string(),
});

/** POST /v1/pcg/renew: a certificate for a new key, asked for with the old one. */
export const renewRequestSchema = z.object({
  /** PEM: the certificate that is about to end. */
  certificate: z.string().max(16_384),
  /** PKCS#10 of the new key, PEM. */
  csr: z.string().max(16_384),
  /** When it was signed, RFC 3339. */
  at: z.string(),
  /** ECDSA-SHA256 with the old key over the CSR's digest, the old serial and `at`, DER, base64. */
  signature: z.string().max(1024),
});
export const renewAnswerSchema = registerAnswerSchema.omit({ proof: true }).extend({
  /** Ed25519 with the plane's signing key over the request's CSR and every field above, base64. */
  signature: z.string(),
});
export type RenewRequest = z.infer<typeof renewRequestSchema>;
export type RenewAnswer = z.infer<typeof renewAnswerSchema>;
export type RegisterRequest = z.infer<typeof registerRequestSchema>;
export type RegisterAnswer = z.infer<typeof registerAnswerSchema>;

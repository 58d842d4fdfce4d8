// Enrolment of the dialling side, for gateways (a pairing code) and agents (an enrolment token) alike.
//
//   E1. The key is made here, written before the first call, and used again by the next try with the same code: a lost answer or a
//       kill at any point costs nothing, the plane gives the same key the same identity.
//   E2. An answer is believed only if its proof fits the code and our CSR, its certificate holds our key, and its CA signed it.
//   E3. The identity is on disk before enrolment reports success.
import { createPublicKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { Fault, Secret, type Clock, type Logger } from "#core";
import type { Seal } from "#core/store/seal.ts";
import { registerAnswerSchema, type RegisterAnswer } from "#proto/messages.ts";
import { parsePairingCode } from "./code.ts";
import { makeKeyAndRequest, type KeyAndRequest } from "./csr.ts";
import { readSecretFile, removeFile, writeSecretFile } from "./files.ts";
import { normalisePlaneUrl, planeHttp } from "./http.ts";
import { saveIdentity, type Identity } from "./identity.ts";
import { answerProof, deriveCodeKeys, requestProof, sameKey, sameProof, type CodeKeys } from "./proof.ts";
import { sealed, unsealed } from "./sealing.ts";
import { identityOfAltName, type Role } from "./uri.ts";

export interface EnrolOptions {
  readonly planeUrl: string;
  /** PEM bundle of the plane's CA. Without it any certificate is accepted for this one call: the proof protects it. */
  readonly ca?: string | undefined;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal?: AbortSignal | undefined;
  readonly seal?: Seal | undefined;
}

export interface PairOptions extends EnrolOptions {
  /** As typed: any case, dashes or none. */
  readonly code: string;
  /** What the gateway is called at the plane; the plane makes one up when absent. */
  readonly name?: string | undefined;
}

/**
 * Pairs a gateway with its plane and stores the identity in `dataDir` (replacing an older one). Safe to call again with the same
 * code after a failure. Throws Invalid for a malformed code, the plane's own words for an unknown, used, expired or locked one,
 * Unauthorized when somebody on the way changed the conversation, Unavailable when the plane cannot be reached.
 */
export async function pair(options: PairOptions): Promise<Identity> {
  return enrol("gateway", "/v1/pcg/register", parsePairingCode(options.code), options.name, options);
}

export interface EnrolAgentOptions extends EnrolOptions {
  readonly enrolmentToken: Secret;
}

/** The same for a cluster's agent, with the token from the desired state. */
export async function enrolAgent(options: EnrolAgentOptions): Promise<Identity> {
  return enrol("agent", "/v1/agents/register", options.enrolmentToken.reveal(), undefined, options);
}

async function enrol(
  role: Role,
  path: string,
  code: string,
  name: string | undefined,
  options: EnrolOptions,
): Promise<Identity> {
  const { dataDir, ca, signal, log, seal } = options;
  const planeUrl = normalisePlaneUrl(options.planeUrl);
  const keys = deriveCodeKeys(code);
  const mine = await keyFor(keys.id, role, dataDir, seal); // E1
  const http = planeHttp({
    url: planeUrl,
    ...(ca === undefined ? { unverified: true } : { ca, publicRoots: true }),
  });
  try {
    const request = { codeId: keys.id, csr: mine.csr, ...(name === undefined ? {} : { name }) };
    const body = { ...request, proof: requestProof(keys.macKey, request) };
    const answer = registerAnswerSchema.safeParse(await http.call({ method: "POST", path, body, signal }));
    if (!answer.success)
      throw new Fault("Unavailable", `${planeUrl} did not answer as a plane does; check the address`);
    checkAnswer(role, answer.data, mine, keys); // E2
    const { proof: _, ...given } = answer.data;
    const identity: Identity = { role, planeUrl, privateKey: mine.privateKey, ...given };
    await saveIdentity(dataDir, identity, seal); // E3
    await removeFile(pendingFile(dataDir));
    log.info("enrolled at the plane", {
      role,
      uid: identity.uid,
      tenantUid: identity.tenantUid,
      plane: planeUrl,
    });
    return identity;
  } finally {
    await http.close();
  }
}

function checkAnswer(role: Role, answer: RegisterAnswer, mine: KeyAndRequest, keys: CodeKeys): void {
  if (!sameProof(answer.proof, answerProof(keys.macKey, mine.csr, answer))) {
    throw new Fault(
      "Unauthorized",
      "the plane's answer does not carry the proof of the code: somebody between here and the plane changed it, or it is another plane",
    );
  }
  checkCertificate({ role, uid: answer.uid, tenantUid: answer.tenantUid }, answer, mine.privateKey);
}

/** Throws unless the certificate is for this name and key, and signed by the CA that came with it. */
export function checkCertificate(
  name: { role: Role; uid: string; tenantUid: string },
  given: { certificate: string; ca: string },
  privateKey: Secret,
): void {
  const certificate = new X509Certificate(given.certificate);
  const publicKey = createPublicKey(privateKey.reveal()).export({ type: "spki", format: "pem" }).toString();
  const named = identityOfAltName(certificate.subjectAltName);
  const fits =
    named?.uid === name.uid &&
    named.role === name.role &&
    named.tenantUid === name.tenantUid &&
    sameKey(given.certificate, publicKey) &&
    pemBlocks(given.ca).some((ca) => certificate.verify(new X509Certificate(ca).publicKey));
  if (!fits)
    throw new Fault(
      "Unauthorized",
      "the plane's answer holds a certificate that is not ours; it was not stored",
    );
}

export function pemBlocks(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
}

const pendingFile = (dataDir: string) => join(dataDir, "enrolment.json");
const pendingSchema = z.object({ codeId: z.string(), csr: z.string(), privateKey: z.string() });

async function keyFor(
  codeId: string,
  role: Role,
  dataDir: string,
  seal: Seal | undefined,
): Promise<KeyAndRequest> {
  const kept = await pendingKey(dataDir, seal);
  if (kept?.codeId === codeId) return { csr: kept.csr, privateKey: new Secret(kept.privateKey) };
  const made = await makeKeyAndRequest(`pcg ${role}`);
  const text = JSON.stringify({ codeId, csr: made.csr, privateKey: made.privateKey.reveal() });
  await writeSecretFile(pendingFile(dataDir), sealed(text, "enrolment", seal));
  return made;
}

/** What an earlier try left; a damaged file counts as none. */
async function pendingKey(
  dataDir: string,
  seal: Seal | undefined,
): Promise<z.infer<typeof pendingSchema> | undefined> {
  const text = await readSecretFile(pendingFile(dataDir));
  if (text === undefined) return undefined;
  try {
    return pendingSchema.parse(JSON.parse(unsealed(text, "enrolment", seal)));
  } catch {
    return undefined;
  }
}

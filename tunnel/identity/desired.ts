// Desired state is believed for its signature, not for the line it came by.
import { createPublicKey, verify } from "node:crypto";
import { Fault } from "#core";
import { desiredClusterSchema, signedDocumentSchema, type DesiredCluster } from "#proto/messages.ts";

/**
 * The desired cluster in a signed document. Throws Unauthorized when the signature is not the plane's, Invalid when what was
 * signed is no desired cluster (all problems named). `signingKeyPem` is the Ed25519 public key got at pairing.
 */
export function verifyDesired(signedDocument: unknown, signingKeyPem: string): DesiredCluster {
  const signed = signedDocumentSchema.safeParse(signedDocument);
  if (!signed.success)
    throw new Fault("Invalid", "a desired-state message without document and signature was received");
  const { document, signature } = signed.data;
  const key = createPublicKey(signingKeyPem);
  const holds =
    key.asymmetricKeyType === "ed25519" &&
    verify(null, Buffer.from(document, "utf8"), key, Buffer.from(signature, "base64"));
  if (!holds) {
    throw new Fault(
      "Unauthorized",
      "the desired state is not signed by the plane this gateway was paired with; it was ignored",
    );
  }
  const parsed = desiredClusterSchema.safeParse(parseJson(document));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((i) => ({ field: i.path.join("."), message: i.message }));
  const text = problems.map((p) => `${p.field}: ${p.message}`).join("; ");
  throw new Fault("Invalid", `the plane's desired state cannot be read: ${text}`, { problems });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Fault("Invalid", "the plane's desired state is not JSON", { cause });
  }
}

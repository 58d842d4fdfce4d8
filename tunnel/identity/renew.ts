// Renewal: a new key each time, asked for with the old one. The old identity works until the new one is on disk.
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { Fault, formatTime, sleep, backoffDelay, isFault, type Clock, type Logger } from "#core";
import type { Seal } from "#core/store/seal.ts";
import { renewAnswerSchema } from "#proto/messages.ts";
import { makeKeyAndRequest } from "./csr.ts";
import { checkCertificate } from "./enrol.ts";
import { planeHttp } from "./http.ts";
import { renewAt, saveIdentity, validity, type Identity } from "./identity.ts";
import { answerText, renewalText, serialOf } from "./proof.ts";

export interface RenewOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal?: AbortSignal | undefined;
  readonly seal?: Seal | undefined;
}

/** Gets a certificate for a fresh key, stores and returns the new identity. On any failure the old one stays as it is. */
export async function renew(identity: Identity, options: RenewOptions): Promise<Identity> {
  const { dataDir, clock, log, signal, seal } = options;
  const mine = await makeKeyAndRequest(`pcg ${identity.role}`);
  const at = formatTime(clock.now());
  const text = renewalText(mine.csr, serialOf(identity.certificate), at);
  const signature = sign("sha256", text, createPrivateKey(identity.privateKey.reveal())).toString("base64");
  const http = planeHttp({ url: identity.planeUrl, ca: identity.ca, publicRoots: true });
  try {
    const body = { certificate: identity.certificate, csr: mine.csr, at, signature };
    const answer = renewAnswerSchema.safeParse(
      await http.call({ method: "POST", path: "/v1/pcg/renew", body, signal }),
    );
    if (!answer.success)
      throw new Fault("Unavailable", `${identity.planeUrl} did not answer a renewal as a plane does`);
    const { signature: stamp, ...given } = answer.data;
    const key = createPublicKey(identity.signingKey);
    if (!verify(null, answerText(mine.csr, given), key, Buffer.from(stamp, "base64"))) {
      throw new Fault(
        "Unauthorized",
        "the renewed certificate does not come from the plane this gateway was paired with",
      );
    }
    checkCertificate(identity, given, mine.privateKey);
    const next: Identity = { ...identity, ...given, privateKey: mine.privateKey };
    await saveIdentity(dataDir, next, seal);
    log.info("renewed the certificate", {
      uid: next.uid,
      until: formatTime(validity(next.certificate).untilMs),
    });
    return next;
  } finally {
    await http.close();
  }
}

/**
 * Renews for as long as `signal` lets it, at two thirds of each certificate's life (less up to a twentieth, at random); failed tries
 * are repeated with back-off up to an hour. `onRenewed` gets each new identity. Returns when aborted, or when the plane says the
 * identity is revoked.
 */
export async function keepRenewed(
  identity: Identity,
  options: RenewOptions & { readonly random: () => number; readonly signal: AbortSignal },
  onRenewed: (identity: Identity) => void | Promise<void>,
): Promise<void> {
  const { clock, log, random, signal } = options;
  let current = identity;
  for (let attempt = 0; ;) {
    const life = validity(current.certificate);
    const due = renewAt(life) - random() * 0.05 * (life.untilMs - life.fromMs);
    const backoff = attempt === 0 ? 0 : backoffDelay(attempt, { baseMs: 10_000, capMs: 3_600_000 }, random);
    try {
      await sleep(clock, Math.max(due - clock.now(), backoff), signal);
      current = await renew(current, options);
      attempt = 0;
      await onRenewed(current);
    } catch (error) {
      if (signal.aborted) return;
      if (isFault(error, "Forbidden")) {
        log.error("the plane refuses to renew our certificate; pair again", { error });
        return;
      }
      attempt++;
      log[attempt < 3 ? "info" : "warn"]("renewing the certificate failed; will try again", {
        attempt,
        error,
      });
    }
  }
}

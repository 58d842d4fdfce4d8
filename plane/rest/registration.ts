// The calls of gateways and agents that have no API key: a code, or an old certificate, speaks for them.
import { z } from "zod";
import {
  registerAnswerSchema,
  registerRequestSchema,
  renewAnswerSchema,
  renewRequestSchema,
  type RegisterAnswer,
  type RegisterRequest,
} from "#proto/messages.ts";
import { answerProof, answerText, type IdentityName, type Role } from "#tunnel/identity/index.ts";
import { renewalHolder } from "../renewal.ts";
import type { Desks, Routes } from "./desks.ts";

export const registrationRoutes: Routes = (desks) => async (app) => {
  const { authority, clock, rates, renewGraceMs } = desks;
  const tags = ["registration"];
  const config = { rateLimit: { max: rates.registrations, timeWindow: 60_000 } };
  const noKey = { security: [] };

  app.post(
    "/v1/pcg/register",
    {
      config,
      schema: {
        tags,
        ...noKey,
        summary: "Pairs a gateway: CSR and answer are bound to the pairing code",
        body: registerRequestSchema,
        response: { 200: registerAnswerSchema },
      },
    },
    (request) => register(desks, "gateway", request.body, request.ip),
  );

  app.post(
    "/v1/agents/register",
    {
      config,
      schema: {
        tags,
        ...noKey,
        summary: "Enrols a cluster's agent with the token of its desired state",
        body: registerRequestSchema,
        response: { 200: registerAnswerSchema },
      },
    },
    (request) => register(desks, "agent", request.body, request.ip),
  );

  app.post(
    "/v1/pcg/renew",
    {
      config,
      schema: {
        tags,
        ...noKey,
        summary: "A certificate for a new key, asked for with the old one (gateways and agents)",
        body: renewRequestSchema,
        response: { 200: renewAnswerSchema },
      },
    },
    async (request) => {
      const name = await renewalHolder(request.body, { authority, clock, graceMs: renewGraceMs });
      const given = await certificateFor(desks, name, request.body.csr);
      desks.log.info("renewed a certificate", { role: name.role, peer: name.uid });
      return { ...given, signature: authority.sign(answerText(request.body.csr, given)) };
    },
  );

  app.get(
    "/v1/pcg/crl",
    { schema: { tags, ...noKey, summary: "The revocation list, PEM", response: { 200: z.string() } } },
    async (_request, reply) => reply.type("application/x-pem-file").send(await authority.revocationList()),
  );
};

async function register(
  desks: Desks,
  role: Role,
  request: RegisterRequest,
  address: string,
): Promise<RegisterAnswer> {
  const { authority, enrolment, overlords, clusters, log } = desks;
  await authority.checkRequest(request.csr); // before the code is used up
  const { uid, tenantUid, macKey, first } = await enrolment.redeem({
    role,
    request,
    address,
    claim: (tx, code) =>
      role === "gateway" ? overlords.admit(tx, code, request.name) : clusters.admitAgent(tx, code.boundUid),
  });
  const given = await certificateFor(desks, { role, uid, tenantUid }, request.csr);
  await desks.messages.flush(); // a gateway that came back is told again what is wanted
  log.info(first ? "enrolled" : "enrolled again: the first answer was lost", {
    role,
    peer: uid,
    tenant: tenantUid,
    address,
  });
  return { ...given, proof: answerProof(macKey, request.csr, given) };
}

async function certificateFor(
  desks: Desks,
  name: IdentityName,
  csr: string,
): Promise<Omit<RegisterAnswer, "proof">> {
  const { authority, tunnelAddress } = desks;
  const { certificate } = await authority.issueClient(name, csr);
  return {
    uid: name.uid,
    tenantUid: name.tenantUid,
    certificate,
    ca: authority.caPem,
    tunnel: tunnelAddress,
    signingKey: authority.signingKeyPem,
  };
}

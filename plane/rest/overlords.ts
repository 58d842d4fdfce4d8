// Gateways, their vCenter accounts and pools, in Palette's shapes.
import { z } from "zod";
import { formatTime } from "#core";
import type { Overlord } from "../overlords.ts";
import { notFound } from "../refusal.ts";
import { accountBody, overlordBody, poolBodies } from "./bodies.ts";
import type { Routes } from "./desks.ts";
import { eventPage, eventQuery, eventsSchema } from "./paging.ts";
import {
  ipPoolSchema,
  metadataInputSchema,
  nothing,
  overlordSchema,
  uidParams,
  vsphereAccountSchema,
} from "./shapes.ts";

const itemsOf = <T extends z.ZodType>(of: T) => z.object({ items: z.array(of) });
const yes = z.enum(["true", "false"]).optional();

export const overlordRoutes: Routes = (desks) => async (app) => {
  const { overlords, enrolment, hub, clock, limits } = desks;
  const tags = ["gateways"];
  const body = (overlord: Overlord) => {
    const connected = hub
      .peers()
      .some(({ identity }) => identity.role === "gateway" && identity.uid === overlord.uid);
    return overlordBody(overlord, { connected, now: clock.now(), limits });
  };

  app.get(
    "/v1/overlords",
    {
      schema: {
        tags,
        summary: "The tenant's gateways",
        querystring: z.object({ name: z.string().optional() }),
        response: { 200: itemsOf(overlordSchema) },
      },
    },
    async (request) => ({
      items: (await overlords.list(request.caller.tenantUid, request.query.name)).map(body),
    }),
  );

  app.get(
    "/v1/overlords/:uid",
    { schema: { tags, summary: "One gateway", params: uidParams, response: { 200: overlordSchema } } },
    async (request) => body(await overlords.get(request.caller.tenantUid, request.params.uid)),
  );

  app.get(
    "/v1/overlords/pairing/code",
    {
      schema: {
        tags,
        summary: "A new pairing code: good once, for 15 minutes",
        querystring: z.object({ cloudType: z.enum(["vsphere"]).default("vsphere") }),
        response: {
          200: z.object({ pairingCode: z.string(), expiresAt: z.string().describe("Ours, not Palette's.") }),
        },
      },
    },
    async (request, reply) => {
      const { code, expiresAt } = await enrolment.newPairingCode(request.caller.tenantUid);
      void reply.header("cache-control", "no-store");
      return { pairingCode: code.reveal(), expiresAt: formatTime(expiresAt) };
    },
  );

  app.post(
    "/v1/pcg/:uid/register",
    {
      schema: {
        tags,
        summary:
          "Ties an unused pairing code to this gateway: who pairs with it becomes this gateway again (a reinstalled appliance)",
        params: uidParams,
        body: z.object({ pairingCode: z.string() }),
        response: { 204: nothing },
      },
    },
    async (request, reply) => {
      const { tenantUid } = request.caller;
      await overlords.get(tenantUid, request.params.uid);
      await enrolment.bind(request.body.pairingCode, tenantUid, request.params.uid);
      return reply.code(204).send(null);
    },
  );

  app.put(
    "/v1/overlords/:uid/metadata",
    {
      schema: {
        tags,
        summary: "Renames or relabels a gateway",
        params: uidParams,
        body: metadataInputSchema,
        response: { 204: nothing },
      },
    },
    async (request, reply) => {
      const { name, labels, annotations } = request.body.metadata;
      const change = {
        name: name ?? undefined,
        labels: labels ?? undefined,
        annotations: annotations ?? undefined,
      };
      await overlords.update(request.caller.tenantUid, request.params.uid, change);
      return reply.code(204).send(null);
    },
  );

  app.post(
    "/v1/overlords/:uid/revoke",
    {
      schema: {
        tags,
        summary: "Refuses the gateway's certificates from now on and cuts its link; its clusters run on",
        params: uidParams,
        body: z.object({ reason: z.string().max(500).optional() }).nullish(),
        response: { 204: nothing },
      },
    },
    async (request, reply) => {
      const { uid } = request.params;
      await overlords.revoke(
        request.caller.tenantUid,
        uid,
        request.body?.reason ?? "revoked by an administrator",
      );
      hub.disconnect({ role: "gateway", uid });
      return reply.code(204).send(null);
    },
  );

  app.post(
    "/v1/overlords/:uid/resync",
    {
      schema: {
        tags,
        summary: "Sends the gateway and its clusters' agents everything that is wanted of them once more",
        params: uidParams,
        response: { 204: nothing },
      },
    },
    async (request, reply) => {
      const { uid } = await overlords.get(request.caller.tenantUid, request.params.uid);
      await desks.clusters.resend(uid);
      await desks.messages.flush();
      return reply.code(204).send(null);
    },
  );

  app.delete(
    "/v1/overlords/:uid",
    {
      schema: {
        tags,
        summary:
          "Forgets a gateway: its certificates are revoked, its link is cut. Refused while it has clusters, unless forced",
        params: uidParams,
        querystring: z.object({ force: yes }),
        response: { 200: z.object({ msg: z.string() }) },
      },
    },
    async (request) => {
      const { uid } = request.params;
      await overlords.delete(request.caller.tenantUid, uid, request.query.force === "true");
      hub.disconnect({ role: "gateway", uid });
      return { msg: `gateway ${uid} was deleted` };
    },
  );

  app.get(
    "/v1/overlords/:uid/events",
    {
      schema: {
        tags,
        summary: "Events of the gateway itself, newest first",
        params: uidParams,
        querystring: eventQuery,
        response: { 200: eventsSchema },
      },
    },
    async (request) => {
      await overlords.get(request.caller.tenantUid, request.params.uid);
      return eventPage(desks.events, { kind: "overlord", uid: request.params.uid }, request.query);
    },
  );

  app.get(
    "/v1/overlords/vsphere/:uid/pools",
    {
      schema: {
        tags,
        summary: "The gateway's address pools, as it last reported them",
        params: uidParams,
        response: { 200: itemsOf(ipPoolSchema) },
      },
    },
    async (request) => ({
      items: poolBodies(await overlords.get(request.caller.tenantUid, request.params.uid)),
    }),
  );

  const accounts = async (tenantUid: string) =>
    (await overlords.list(tenantUid)).flatMap((o) => accountBody(o) ?? []);

  app.get(
    "/v1/cloudaccounts/vsphere",
    {
      schema: {
        tags: ["accounts"],
        summary: "The vCenter accounts that gateways reported; credentials never leave them",
        response: { 200: itemsOf(vsphereAccountSchema) },
      },
    },
    async (request) => ({ items: await accounts(request.caller.tenantUid) }),
  );

  app.get(
    "/v1/cloudaccounts/vsphere/:uid",
    {
      schema: {
        tags: ["accounts"],
        summary: "One vCenter account",
        params: uidParams,
        response: { 200: vsphereAccountSchema },
      },
    },
    async (request) => {
      const found = (await accounts(request.caller.tenantUid)).find(
        (a) => a.metadata.uid === request.params.uid,
      );
      if (!found) throw notFound("cloud account", request.params.uid);
      return found;
    },
  );
};

// Projects and API keys of the caller's tenant. Only a key of the whole tenant may change them.
import { z } from "zod";
import { formatTime } from "#core";
import { Refusal } from "../refusal.ts";
import type { Caller } from "../tenants.ts";
import type { Routes } from "./desks.ts";
import { nothing, objectMetaSchema, uidParams, uidSchema } from "./shapes.ts";

const named = z.object({ metadata: objectMetaSchema });
const nameInput = z.object({ metadata: z.object({ name: z.string().min(1).max(253) }) });

export const tenancyRoutes: Routes =
  ({ tenants }) =>
  async (app) => {
    const tags = ["tenant"];

    app.get(
      "/v1/projects",
      {
        schema: {
          tags,
          summary: "The tenant's projects",
          response: { 200: z.object({ items: z.array(named) }) },
        },
      },
      async (request) => ({
        items: (await tenants.projects(request.caller.tenantUid)).map((p) => ({
          metadata: { name: p.name, uid: p.uid, creationTimestamp: formatTime(p.createdAt) },
        })),
      }),
    );

    app.post(
      "/v1/projects",
      { schema: { tags, summary: "A new project", body: nameInput, response: { 201: uidSchema } } },
      async (request, reply) => {
        const uid = await tenants.addProject(whole(request.caller), request.body.metadata.name);
        return reply.code(201).send({ uid });
      },
    );

    app.get(
      "/v1/apiKeys",
      {
        schema: {
          tags,
          summary: "The tenant's API keys, without their values",
          response: {
            200: z.object({
              items: z.array(named.extend({ spec: z.object({ projectUid: z.string().optional() }) })),
            }),
          },
        },
      },
      async (request) => ({
        items: (await tenants.apiKeys(whole(request.caller))).map((key) => ({
          metadata: { name: key.name, uid: key.uid, creationTimestamp: formatTime(key.createdAt) },
          spec: key.projectUid === undefined ? {} : { projectUid: key.projectUid },
        })),
      }),
    );

    app.post(
      "/v1/apiKeys",
      {
        schema: {
          tags,
          summary: "A new API key, for the tenant or one project; its value is shown this once",
          body: nameInput.extend({ spec: z.object({ projectUid: z.string().optional() }).optional() }),
          response: { 201: z.object({ uid: z.string(), apiKey: z.string() }) },
        },
      },
      async (request, reply) => {
        const { metadata, spec } = request.body;
        const { uid, apiKey } = await tenants.addApiKey(
          whole(request.caller),
          metadata.name,
          spec?.projectUid,
        );
        void reply.header("cache-control", "no-store");
        return reply.code(201).send({ uid, apiKey: apiKey.reveal() });
      },
    );

    app.delete(
      "/v1/apiKeys/:uid",
      { schema: { tags, summary: "Revokes an API key", params: uidParams, response: { 204: nothing } } },
      async (request, reply) => {
        await tenants.revokeApiKey(whole(request.caller), request.params.uid);
        return reply.code(204).send(null);
      },
    );
  };

function whole(caller: Caller): string {
  if (caller.projectUid === undefined) return caller.tenantUid;
  throw new Refusal(
    "Forbidden",
    "Forbidden",
    "this needs an API key of the whole tenant, and no ProjectUid header",
  );
}

// The REST face: routes, who may call them, how often, and the document that describes them.
import rateLimit from "@fastify/rate-limit";
import swagger from "@fastify/swagger";
import Fastify, { type FastifyInstance } from "fastify";
import {
  createJsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import { z } from "zod";
import { Refusal } from "../refusal.ts";
import { clusterRoutes } from "./clusters.ts";
import type { Desks } from "./desks.ts";
import { tidy } from "./document.ts";
import { errorHandler, notFoundHandler } from "./errors.ts";
import { overlordRoutes } from "./overlords.ts";
import { registrationRoutes } from "./registration.ts";
import { errorSchema } from "./shapes.ts";
import { tenancyRoutes } from "./tenancy.ts";

export interface AppOptions {
  readonly desks: Desks;
  readonly version: string;
  readonly trustedProxies?: readonly string[] | undefined;
  readonly tls?: { readonly key: string; readonly cert: string } | undefined;
}

/** Builds the server; nothing listens yet. Use `inject` in tests. */
export async function buildApp({
  desks,
  version,
  tls,
  trustedProxies = [],
}: AppOptions): Promise<FastifyInstance> {
  const common = {
    bodyLimit: 1_048_576,
    requestTimeout: 30_000,
    forceCloseConnections: true,
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    routerOptions: { ignoreTrailingSlash: true },
  };
  const app = (
    tls ? Fastify({ ...common, https: { ...tls, minVersion: "TLSv1.2" } }) : Fastify(common)
  ) as FastifyInstance;
  app.setErrorHandler(errorHandler(desks.log));
  app.setNotFoundHandler(notFoundHandler);
  app.decorateRequest("caller");

  await app.register(rateLimit, {
    max: desks.rates.calls,
    timeWindow: 60_000,
    errorResponseBuilder: (_request, context) =>
      new Refusal(
        "Busy",
        "TooManyRequests",
        `more than ${context.max} calls a minute came from this address; try again in ${context.after}`,
        {
          retryAfterMs: context.ttl,
        },
      ),
  });
  await app.register(swagger, {
    openapi: {
      openapi: "3.0.3",
      info: {
        title: "Private Cloud Gateway: reference plane",
        version,
        description: "Palette's public API for gateways and vSphere clusters, as far as this plane has it.",
      },
      servers: [{ url: "/" }],
      components: { securitySchemes: { ApiKey: { type: "apiKey", name: "ApiKey", in: "header" } } },
      security: [{ ApiKey: [] }],
    },
    transform: withErrors,
    transformObject: jsonSchemaTransformObject,
  });

  // zod's compilers stay in this scope: routes of plugins carry JSON Schema
  await app.register(async (scope) => {
    scope.setValidatorCompiler(validatorCompiler);
    scope.setSerializerCompiler(serializerCompiler);
    const typed = scope.withTypeProvider<ZodTypeProvider>();
    await typed.register(registrationRoutes(desks));
    typed.get(
      "/v1/health",
      {
        schema: {
          tags: ["plane"],
          security: [],
          summary: "The plane is up",
          response: { 200: z.object({ status: z.literal("ok"), version: z.string() }) },
        },
      },
      async () => ({ status: "ok" as const, version }),
    );
    await typed.register(async (guarded) => {
      guarded.addHook("onRequest", async (request) => {
        const one = (header: string | string[] | undefined) =>
          (Array.isArray(header) ? header[0] : header) || undefined;
        request.caller = await desks.tenants.identify(
          one(request.headers.apikey),
          one(request.headers.projectuid),
        );
      });
      await guarded.register(overlordRoutes(desks));
      await guarded.register(clusterRoutes(desks));
      await guarded.register(tenancyRoutes(desks));
    });
  });
  let document: unknown;
  app.get("/v1/openapi.json", { schema: { hide: true } }, async () => (document ??= tidy(app.swagger())));
  await app.ready();
  return app;
}

const zodTransform = createJsonSchemaTransform({});

/** Every route may answer with an error; said here once. */
const withErrors: typeof zodTransform = (input) => {
  const schema = input.schema as { response?: Record<string, unknown>; hide?: boolean } | undefined;
  if (!schema || schema.hide) return zodTransform(input);
  return zodTransform({
    ...input,
    schema: { ...schema, response: { ...schema.response, default: errorSchema } },
  } as typeof input);
};

// Clusters, in Palette's shapes.
import { z } from "zod";
import { statusBody, clusterBody } from "./bodies.ts";
import type { Routes } from "./desks.ts";
import { eventPage, eventQuery, eventsSchema } from "./paging.ts";
import { addPool, removePool, replacePool } from "../pools.ts";
import {
  clusterEntitySchema,
  clusterStatusBodySchema,
  conditionSchema,
  machinePoolSchema,
  nothing,
  spectroClusterSchema,
  uidParams,
  uidSchema,
} from "./shapes.ts";

const yes = z.enum(["true", "false"]).optional();
const configParams = z.object({ configUid: z.string().min(1).max(128) });
const poolParams = configParams.extend({ machinePoolName: z.string().min(1).max(253) });

export const clusterRoutes: Routes = (desks) => async (app) => {
  const { clusters, overlords, messages, events, clock, limits } = desks;
  const tags = ["clusters"];
  const sight = () => ({ now: clock.now(), limits });

  app.post(
    "/v1/spectroclusters/vsphere",
    {
      schema: {
        tags,
        summary: "Asks for a cluster; its gateway makes it",
        querystring: z.object({
          overlordUid: z
            .string()
            .optional()
            .describe("Which gateway; goes before the annotation overlordUid."),
        }),
        body: clusterEntitySchema,
        response: { 201: uidSchema },
      },
    },
    async (request, reply) => {
      const uid = await clusters.create(request.caller, request.body, request.query.overlordUid);
      await messages.flush(uid);
      return reply.code(201).send({ uid });
    },
  );

  const list = {
    schema: {
      tags,
      summary: "The clusters, newest first; those deleted within 72 hours included",
      querystring: z.object({ name: z.string().optional() }),
      response: { 200: z.object({ items: z.array(spectroClusterSchema) }) },
    },
  };
  for (const path of ["/v1/spectroclusters", "/v1/spectroclusters/vsphere"]) {
    app.get(path, list, async (request) => ({
      items: (await clusters.list(request.caller, { name: request.query.name })).map((c) =>
        clusterBody(c, sight()),
      ),
    }));
  }

  app.get(
    "/v1/spectroclusters/:uid",
    { schema: { tags, summary: "One cluster", params: uidParams, response: { 200: spectroClusterSchema } } },
    async (request) => clusterBody(await clusters.get(request.caller, request.params.uid), sight()),
  );

  const deletion = {
    schema: {
      tags,
      summary:
        "Asks for deletion; the cluster is gone when its gateway says so. forceDelete insists, also later: what cannot be deleted in the usual way is removed by the gateway's ledger",
      params: uidParams,
      querystring: z.object({ forceDelete: yes }),
      response: { 204: nothing },
    },
  };
  for (const path of ["/v1/spectroclusters/:uid", "/v1/spectroclusters/vsphere/:uid"]) {
    app.delete(path, deletion, async (request, reply) => {
      const { uid } = request.params;
      await clusters.delete(request.caller, uid, request.query.forceDelete === "true");
      await messages.flush(uid);
      return reply.code(204).send(null);
    });
  }

  app.get(
    "/v1/spectroclusters/:uid/status",
    {
      schema: {
        tags,
        summary: "How far the cluster is: state, milestones, machines, conditions. Ours, not Palette's",
        params: uidParams,
        response: { 200: clusterStatusBodySchema },
      },
    },
    async (request) => statusBody(await clusters.get(request.caller, request.params.uid), sight()),
  );

  app.get(
    "/v1/spectroclusters/:uid/conditions",
    {
      schema: {
        tags,
        summary: "The cluster's conditions. Ours, not Palette's",
        params: uidParams,
        response: { 200: z.object({ items: z.array(conditionSchema) }) },
      },
    },
    async (request) => ({
      items: [...statusBody(await clusters.get(request.caller, request.params.uid), sight()).conditions],
    }),
  );

  app.get(
    "/v1/spectroclusters/:uid/events",
    {
      schema: {
        tags,
        summary:
          "The cluster's last 1000 events, newest first. Ours; Palette's path is /v1/events/components",
        params: uidParams,
        querystring: eventQuery,
        response: { 200: eventsSchema },
      },
    },
    async (request) => {
      await clusters.get(request.caller, request.params.uid);
      return eventPage(events, { kind: "spectrocluster", uid: request.params.uid }, request.query);
    },
  );

  app.get(
    "/v1/events/components/:objectKind/:objectUid",
    {
      schema: {
        tags,
        summary: "Events of a cluster or a gateway, newest first",
        params: z.object({ objectKind: z.enum(["spectrocluster", "overlord"]), objectUid: z.string() }),
        querystring: eventQuery,
        response: { 200: eventsSchema },
      },
    },
    async (request) => {
      const { objectKind: kind, objectUid: uid } = request.params;
      if (kind === "spectrocluster") await clusters.get(request.caller, uid);
      else await overlords.get(request.caller.tenantUid, uid);
      return eventPage(events, { kind, uid }, request.query);
    },
  );

  // Machine pools. A cluster's cloud configuration has the cluster's uid.

  app.post(
    "/v1/cloudconfigs/vsphere/:configUid/machinePools",
    {
      schema: {
        tags,
        summary: "Adds a worker pool",
        params: configParams,
        body: machinePoolSchema,
        response: { 201: uidSchema },
      },
    },
    async (request, reply) => {
      const { configUid } = request.params;
      await clusters.change(request.caller, configUid, (entity) => addPool(entity, request.body));
      await messages.flush(configUid);
      return reply.code(201).send({ uid: request.body.poolConfig?.name ?? "" });
    },
  );

  app.put(
    "/v1/cloudconfigs/vsphere/:configUid/machinePools/:machinePoolName",
    {
      schema: {
        tags,
        summary: "Replaces a pool's configuration: size, instance, labels, taints",
        params: poolParams,
        body: machinePoolSchema,
        response: { 204: nothing },
      },
    },
    async (request, reply) => {
      const { configUid, machinePoolName } = request.params;
      await clusters.change(request.caller, configUid, (entity) =>
        replacePool(entity, machinePoolName, request.body),
      );
      await messages.flush(configUid);
      return reply.code(204).send(null);
    },
  );

  app.delete(
    "/v1/cloudconfigs/vsphere/:configUid/machinePools/:machinePoolName",
    { schema: { tags, summary: "Removes a worker pool", params: poolParams, response: { 204: nothing } } },
    async (request, reply) => {
      const { configUid, machinePoolName } = request.params;
      await clusters.change(request.caller, configUid, (entity) => removePool(entity, machinePoolName));
      await messages.flush(configUid);
      return reply.code(204).send(null);
    },
  );
};

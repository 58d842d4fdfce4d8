// What the routes work with, and how a route's module looks.
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import type { Clock, Logger } from "#core";
import type { Hub } from "#tunnel/link.ts";
import type { Authority } from "../authority.ts";
import type { Clusters } from "../clusters.ts";
import type { Enrolment } from "../enrolment.ts";
import type { Events } from "../events.ts";
import type { HealthLimits } from "../health.ts";
import type { Messages } from "../messages.ts";
import type { Overlords } from "../overlords.ts";
import type { Caller, Tenants } from "../tenants.ts";

export interface Desks {
  readonly clock: Clock;
  readonly log: Logger;
  readonly authority: Authority;
  readonly tenants: Tenants;
  readonly enrolment: Enrolment;
  readonly overlords: Overlords;
  readonly clusters: Clusters;
  readonly events: Events;
  readonly messages: Messages;
  readonly hub: Pick<Hub, "peers" | "disconnect">;
  readonly limits: HealthLimits;
  readonly renewGraceMs: number;
  /** host:port that gateways and agents dial. */
  readonly tunnelAddress: string;
  /** Calls an address may make a minute, and registrations it may try a minute. */
  readonly rates: { readonly calls: number; readonly registrations: number };
}

export type Routes = (desks: Desks) => FastifyPluginAsyncZod;

declare module "fastify" {
  interface FastifyRequest {
    /** Set on every route that needs an API key. */
    caller: Caller;
  }
}

// Mistakes in a wish that its schema cannot see. Pure. All of them are found at once, by the field the user wrote.
import { formatTime, type Problem } from "#core";
import type { SpaSpec } from "#proto";
import { controlPlanePlacement, parentOf, poolText } from "#proto/render/addresses.ts";
import type { PoolSpace } from "../ports.ts";
import { sizeProblems } from "#proto/render/pool-size.ts";
import { placementsOf, type EndpointSeen, type NeedSeen } from "./seen.ts";

export function specProblems(spec: SpaSpec): Problem[] {
  return [
    ...addressProblems(spec),
    ...endpointProblems(spec),
    ...poolNameProblems(spec),
    ...poolSizeProblems(spec),
    ...domainProblems(spec),
    ...networkProblems(spec),
  ];
}

function addressProblems(spec: SpaSpec): Problem[] {
  return placementsOf({ spec })
    .filter(({ placement }) => placement.staticIp && !placement.ipPoolRef)
    .map(({ field }) => ({
      field: `${field}.ipPoolRef`,
      message: "is needed with static addresses; name a pool, or set staticIp to false for DHCP",
    }));
}

function endpointProblems(spec: SpaSpec): Problem[] {
  const { type, host } = spec.network.endpoint;
  if (host) return [];
  const field = "network.endpoint.host";
  if (type !== "VIP") return [{ field, message: `is needed with type ${type}` }];
  const placement = controlPlanePlacement(spec);
  return parentOf(placement) || placement.staticIp
    ? []
    : [{ field, message: "is needed where addresses come from DHCP: the API needs an address that stays" }];
}

function poolNameProblems(spec: SpaSpec): Problem[] {
  const names = spec.workerPools.map((pool) => pool.name);
  return names.flatMap((name, at) =>
    names.indexOf(name) < at
      ? [{ field: `workerPools[${at}].name`, message: `"${name}" is the name of another pool` }]
      : [],
  );
}

function poolSizeProblems(spec: SpaSpec): Problem[] {
  return spec.workerPools.flatMap((pool, at) =>
    sizeProblems(pool).map(({ field, message }) => ({ field: `workerPools[${at}].${field}`, message })),
  );
}

function domainProblems({ controlPlane: { failureDomains = [] } }: SpaSpec): Problem[] {
  const field = (at: number) => `controlPlane.failureDomains[${at}]`;
  const names = failureDomains.map(({ name }) => name);
  const ways = new Set(failureDomains.map(({ placement }) => placement.staticIp));
  return [
    ...names.flatMap((name, at) =>
      names.indexOf(name) < at
        ? [{ field: `${field(at)}.name`, message: `"${name}" is the name of another failure domain` }]
        : [],
    ),
    // CAPV lays a domain's network over the template's: a pool can be exchanged there, not taken away.
    ...(ways.size > 1
      ? [{ field: "controlPlane.failureDomains", message: "static addresses in all of them, or in none" }]
      : []),
  ];
}

const cidr = /^[0-9a-fA-F.:]+\/\d{1,3}$/;

function networkProblems({ network }: SpaSpec): Problem[] {
  return (["podCidr", "serviceCidr"] as const).flatMap((part) =>
    cidr.test(network[part])
      ? []
      : [
          {
            field: `network.${part}`,
            message: `"${network[part]}" is not a network; write it like 10.96.0.0/12`,
          },
        ],
  );
}

/** Parent pools that are missing, or have too little room for what is not leased yet. */
export function roomProblems(needs: readonly NeedSeen[]): Problem[] {
  return needs.flatMap(({ need, room, leases }) => {
    const name = poolText(need.parent);
    if (!room)
      return [
        {
          field: need.field,
          message: `there is no ${need.parent.kind} "${name}"; create it, or name another`,
        },
      ];
    const missing = leases.filter((lease) => !lease.claim).length;
    if (missing === 0 || missing <= room.free) return [];
    const spare = need.count - need.nodes;
    return [
      {
        field: need.field,
        message:
          `pool "${name}" has ${room.free} free of ${room.total} addresses${unfree(room)}, ${missing} are needed ` +
          `(${need.nodes} nodes + ${spare} spare); ${waitFor(room, missing)}add addresses to the pool or make the cluster smaller`,
      },
    ];
  });
}

/** What nobody holds, and cannot be had all the same. */
function unfree({ kept = 0, resting = 0 }: PoolSpace): string {
  const parts = [
    ...(kept > 0 ? [`${kept} more are reserved, set aside or drained`] : []),
    ...(resting > 0 ? [`${resting} rest after use`] : []),
  ];
  return parts.length > 0 ? ` (${parts.join(", ")})` : "";
}

/** Where what is missing comes free by itself. */
function waitFor({ free, later = [] }: PoolSpace, missing: number): string {
  const at = later[missing - free - 1];
  return at === undefined ? "" : `wait until ${formatTime(at)}, when enough have rested, or `;
}

/** An address for the API that somebody has already; asked for by name, or leased from the pool. */
export function endpointTaken(spec: SpaSpec, seen: EndpointSeen | undefined): Problem[] {
  if (!seen) return [];
  const asked = spec.network.endpoint.host !== undefined;
  const field = asked ? "network.endpoint.host" : "placement.ipPoolRef";
  const remedy = asked ? "choose another address" : "take it out of the pool, and create the cluster anew";
  const { host, port, takenBy, answers } = seen;
  if (takenBy !== undefined) {
    return [{ field, message: `${host} is the address of cluster "${takenBy}" already; ${remedy}` }];
  }
  if (!answers) return [];
  return [
    { field, message: `somebody answers at ${host}:${port} already; ${remedy}, or end what answers there` },
  ];
}

/** "placement.datacenter: ...; placement.ipPoolRef: ..." */
export function problemsText(problems: readonly Problem[]): string {
  return problems.map(({ field, message }) => `${field}: ${message}`).join("; ");
}

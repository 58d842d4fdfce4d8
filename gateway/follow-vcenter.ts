// vCenter got another certificate or another name: the clusters that were built with the gateway's account follow the configuration.
//
//   V1. The certificate (thumbprint, authority) follows at once, for every cluster at the account's server.
//   V2. Another name follows when the same vCenter answers there, by the UUID that it keeps over renames. At another vCenter the machines
//       are not: CAPV would hold them for lost, and a deletion for done.
//   V3. What is written down of the vCenter is written after the clusters have followed: a gateway that dies in between begins again.
import {
  backoffDelay,
  Fault,
  keyOf,
  sameJson,
  sleep,
  type Clock,
  type Logger,
  type ResourceStore,
} from "#core";
import { modify } from "#core/store/helpers.ts";
import { secret, spa, type Spa, type SpaSpec } from "#proto";
import { accountSecret, cloudOf, systemNamespace, type VcenterAccount } from "./account.ts";

/** On the account's Secret: the vCenter that the clusters were built in. */
export const words = { server: "pcg.dev/vcenter-server", instance: "pcg.dev/vcenter-instance" } as const;

export interface FollowDeps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** The UUID of the vCenter that answers at the account's server. */
  readonly instance: (signal: AbortSignal) => Promise<string | undefined>;
}

interface Known {
  readonly server: string;
  readonly instance: string;
}

export type Following =
  /** The vCenter is the one that is known, or the first. */
  | { readonly kind: "same" }
  | { readonly kind: "renamed"; readonly from: string }
  | { readonly kind: "replaced" }
  | { readonly kind: "another"; readonly than: string };

/** What a vCenter at this server is to the one that is known. Pure. */
export function judge(known: Known | undefined, server: string, instance: string): Following {
  if (!known || (known.server === server && known.instance === instance)) return { kind: "same" };
  if (known.instance === instance) return { kind: "renamed", from: known.server };
  return known.server === server ? { kind: "replaced" } : { kind: "another", than: known.server };
}

/** V1. Clusters that the account built at this server reach it as the account says now. Resolves with how many had to follow. */
export async function followAccount(
  store: ResourceStore,
  account: VcenterAccount,
  from: string = account.server,
): Promise<number> {
  const cloud = cloudOf(account);
  let followed = 0;
  for (const one of (await store.list(spa)).items) {
    if (!isOf(one, from) || sameJson(one.spec.cloud, cloud)) continue;
    await modify(store, spa, keyOf(one), (have) =>
      isOf(have, from) ? { ...have, spec: { ...have.spec, cloud } } : have,
    );
    followed++;
  }
  return followed;
}

function isOf({ spec: { cloud } }: { readonly spec: SpaSpec }, server: string): boolean {
  return cloud.credentialRef.name === accountSecret && cloud.server === server;
}

const again = { baseMs: 5_000, capMs: 60_000 };

/** V2, once the vCenter answers. Never rejects; resolves when it is settled, or the signal aborts. */
export async function followServer(
  deps: FollowDeps,
  account: VcenterAccount,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log, random } = deps;
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      const instance = await deps.instance(signal);
      if (instance === undefined) return; // it has none: nothing can be proved
      return await settle(deps, account, instance);
    } catch (error) {
      if (signal.aborted) return;
      log.debug("which vCenter answers is not known yet", {
        server: account.server,
        error: Fault.from(error),
      });
      await sleep(clock, backoffDelay(attempt, again, random), signal).catch(() => {});
    }
  }
}

async function settle({ store, log }: FollowDeps, account: VcenterAccount, instance: string): Promise<void> {
  const { server } = account;
  const key = { namespace: systemNamespace, name: accountSecret };
  const known = knownIn((await store.get(secret, key))?.metadata.annotations);
  const judged = judge(known, server, instance);
  switch (judged.kind) {
    case "same":
      break;
    case "renamed": {
      const clusters = await followAccount(store, account, judged.from);
      log.warn("vCenter has another name: its clusters follow", { server, was: judged.from, clusters });
      break;
    }
    case "replaced":
      log.warn("another vCenter answers under the old name; clusters that are not in it cannot be managed", {
        server,
        instance,
        was: known?.instance,
      });
      break;
    case "another": {
      const clusters = await countAt(store, judged.than);
      if (clusters === 0) break;
      log.error(
        `vcenter.server ${server} is another vCenter than ${judged.than}, where clusters of this gateway are; they stay with that one. ` +
          "Give vcenter.server back its old value, or delete them first",
        { server, was: judged.than, clusters },
      );
      return;
    }
  }
  await modify(store, secret, key, (have) => ({
    ...have,
    metadata: {
      ...have.metadata,
      annotations: {
        ...have.metadata.annotations,
        [words.server]: server,
        [words.instance]: instance,
      },
    },
  })); // V3
}

function knownIn(annotations: Readonly<Record<string, string>> | undefined): Known | undefined {
  const server = annotations?.[words.server];
  const instance = annotations?.[words.instance];
  return server && instance ? { server, instance } : undefined;
}

async function countAt(store: ResourceStore, server: string): Promise<number> {
  return (await store.list(spa)).items.filter((one: Spa) => isOf(one, server)).length;
}

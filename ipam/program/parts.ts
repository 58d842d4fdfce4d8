// What `pcg ipam run` can run, and which kinds each part needs.
import { Fault, isFault, type Controller, type Kind, type ResourceStore } from "#core";
import {
  cluster,
  inClusterPoolKinds,
  ipAddress,
  ipAddressClaim,
  metal3Kinds,
  vsphereCluster,
  vsphereMachine,
  vsphereMachineTemplate,
  vsphereVM,
} from "#proto";
import {
  growthController,
  growthKinds,
  ipamControllers,
  metal3Controllers,
  poolsForStatic,
  staticControllers,
  type IpamDeps,
  type VmWitness,
} from "../index.ts";
import { servedVersion, versionKey } from "./versions.ts";

export type PartDeps = IpamDeps & {
  readonly random: () => number;
  /** Who knows whether a VM is gone; CAPV's objects unless told. */
  readonly witness?: VmWitness;
  /** Only this namespace is seen. */
  readonly namespace?: string;
};

interface Part {
  /** Without one of these it cannot run. */
  readonly needs: readonly Kind[];
  /** At least one of these makes it worth while. */
  readonly offers: readonly Kind[];
  /** With all of these it does more. */
  readonly helps?: readonly Kind[];
  readonly controllers: (deps: PartDeps, served: readonly Kind[]) => readonly Controller[];
}

const claims = [ipAddressClaim, ipAddress, cluster] as unknown as readonly Kind[];

export const parts: Readonly<Record<string, Part>> = {
  "in-cluster": {
    needs: claims,
    offers: inClusterPoolKinds,
    helps: growthKinds,
    controllers: (deps, served) => [
      ...ipamControllers({ ...deps, kinds: served }),
      ...(growthKinds.every(isAmong(served)) ? [growthController({ ...deps, kinds: served })] : []),
    ],
  },
  metal3: {
    needs: [...claims, ...metal3Kinds],
    offers: metal3Kinds,
    controllers: (deps) => metal3Controllers(deps),
  },
  static: {
    needs: [
      ...claims,
      ...([vsphereMachine, vsphereCluster, vsphereMachineTemplate, vsphereVM] as unknown as readonly Kind[]),
    ],
    offers: poolsForStatic,
    controllers: (deps, served) =>
      staticControllers({
        ...deps,
        serves: isAmong(served),
      }),
  },
};

function isAmong(kinds: readonly Kind[]): (kind: Kind) => boolean {
  return (kind) => kinds.some((each) => versionKey(each) === versionKey(kind));
}

/** Kinds of Cluster API exist in an older version too, which servers before 1.11 have. */
function versionsOf(kind: Kind): readonly string[] {
  return kind.version === "v1beta2" ? ["v1beta2", "v1beta1"] : [kind.version];
}

export interface Served {
  readonly kinds: readonly Kind[];
  readonly older: ReadonlyMap<string, string>;
  /** Kinds that a part would do more with, and that may not be read. */
  readonly unread?: readonly string[];
}

/** Which of the kinds that any part could use the server has, and in which version. */
export async function servedKinds(store: ResourceStore): Promise<Served> {
  const needed = Object.values(parts).flatMap(({ needs, offers }) => [...needs, ...offers]);
  const isNeeded = isAmong(needed);
  const helpful = Object.values(parts).flatMap(({ helps = [] }) => helps);
  const wanted = new Map([...needed, ...helpful].map((kind) => [versionKey(kind), kind] as const));
  const older = new Map<string, string>();
  const kinds: Kind[] = [];
  const unread: string[] = [];
  for (const [key, kind] of wanted) {
    const version = await servedVersion(store, kind, versionsOf(kind)).catch((error: unknown) => {
      // Who was installed before there was such a helper may not read its kinds, and goes on as before.
      if (!isFault(error, "Forbidden") || isNeeded(kind)) throw error;
      unread.push(`${kind.plural}.${kind.group}`);
      return undefined;
    });
    if (version === undefined) continue;
    kinds.push(kind);
    if (version !== kind.version) older.set(key, version);
  }
  return { kinds, older, unread };
}

/** The parts to run: those asked for, or all that the server has the kinds of. Invalid where one asked for cannot run. */
export function chosenParts(wanted: readonly string[] | undefined, { kinds }: Served): readonly string[] {
  const has = isAmong(kinds);
  const lacking = ({ needs }: Part) =>
    needs.filter((kind) => !has(kind)).map((kind) => `${kind.plural}.${kind.group}`);
  for (const name of wanted ?? []) {
    const part = parts[name];
    if (!part)
      throw new Fault(
        "Invalid",
        `--kinds ${name}: there is no such part; use ${Object.keys(parts).join(", ")}`,
      );
    const missing = lacking(part);
    if (missing.length > 0 || !part.offers.some(has)) {
      const names = missing.length > 0 ? missing : part.offers.map((kind) => `${kind.plural}.${kind.group}`);
      throw new Fault(
        "Invalid",
        `--kinds ${name}: the API server has no ${names.join(", ")}; apply \`pcg ipam manifests\``,
      );
    }
  }
  const able = Object.entries(parts).filter(
    ([, part]) => lacking(part).length === 0 && part.offers.some(has),
  );
  const chosen = wanted ?? able.map(([name]) => name);
  if (chosen.length === 0)
    throw new Fault(
      "Invalid",
      "the API server has neither pools nor claims to serve; apply `pcg ipam manifests`, and Cluster API",
    );
  return chosen;
}

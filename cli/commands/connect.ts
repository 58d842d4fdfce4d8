// Opens the two sides that a context names.
import { readFile } from "node:fs/promises";
import { Fault, Secret, type OwnedStore } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { planeClient, type PlaneClient } from "#plane";
import { gatewayOf, planeOf, readContext } from "../context.ts";
import type { World } from "../world.ts";

export interface OpenPlane {
  readonly client: PlaneClient;
  readonly url: string;
}

/** A client of the context's plane. Invalid when the context has none, or no API key. */
export async function openPlane(_world: World, contextPath: string): Promise<OpenPlane> {
  const file = await readContext(contextPath);
  const { url, ca, apiKey } = planeOf(file);
  if (!apiKey)
    throw new Fault("Invalid", `the context ${file.path} has no API key for the plane; add plane.apiKeyFile`);
  return { client: planeClient({ url, ca, apiKey: new Secret(apiKey) }), url };
}

/** The context's gateway as a store. */
export async function openGateway(world: World, contextPath: string): Promise<OwnedStore> {
  return openKubeconfig(world, gatewayOf(await readContext(contextPath)).kubeconfig);
}

/** The gateway behind its kubeconfig. */
export async function openKubeconfig(world: Pick<World, "clock">, kubeconfig: string): Promise<OwnedStore> {
  let text: string;
  try {
    text = await readFile(kubeconfig, "utf8");
  } catch (error) {
    throw new Fault("Unavailable", `${kubeconfig} cannot be read: is the gateway started?`, { cause: error });
  }
  return kubeStore(text, { clock: world.clock });
}

/** Name and uid of what the plane shows: Palette's schema lets both be absent, the plane never does. */
export function labelOf({
  metadata,
}: {
  readonly metadata: { readonly name?: string | undefined; readonly uid?: string | undefined };
}) {
  return { name: metadata.name ?? "", uid: metadata.uid ?? "" };
}

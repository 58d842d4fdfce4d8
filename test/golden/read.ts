// What real programs wrote, read back from a real API server (CAPI 1.13.5, CAPV 1.16.1, in-cluster IPAM, Metal3 IPAM).
import { readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import type { Resource } from "#core";

export type GoldenFile =
  "capi-provisioning" | "capi-running" | "capi-secrets" | "ipam-in-cluster" | "ipam-metal3";

/** The objects of a recording. */
export async function golden(file: GoldenFile): Promise<Resource[]> {
  const text = await readFile(new URL(`./${file}.yaml`, import.meta.url), "utf8");
  return parseAllDocuments(text)
    .map((document) => document.toJSON() as Resource | null)
    .filter((object) => object !== null);
}

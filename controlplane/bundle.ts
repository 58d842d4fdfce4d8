// A bundle: the folder with the programs and the CRDs that the control plane is made of, and a manifest that says what they must be.
//
//   manifest.json   schema, and for every file its version and SHA-256
//   bin/            the programs
//   crds/ webhooks/ YAML as upstream ships it, or the same as JSON
//
// Nothing of a bundle is used before every digest has been seen to be right.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { Fault, type Problem, type Resource } from "#core";
import { digestsOf, type Digest } from "./digests.ts";
import {
  programNames,
  programVersions,
  providerNames,
  providers,
  type ProgramName,
  type ProviderName,
} from "./versions.ts";

export interface Bundle {
  /** Changes whenever anything in it does. */
  readonly digest: string;
  readonly programs: Readonly<Record<ProgramName, { readonly path: string; readonly version: string }>>;
  readonly providers: Readonly<Record<ProviderName, ProviderParts>>;
}

export interface ProviderParts {
  readonly version: string;
  readonly crds: readonly Resource[];
  readonly webhooks: readonly Resource[];
}

export interface BundleOptions {
  /**
   * A file that remembers which digests were computed of which files, so that only what changed is read again. Whoever can write it
   * can make a changed program pass: it belongs into a folder as well guarded as the bundle. Absent: everything is read.
   */
  readonly memory?: string;
}

const fileSchema = z.object({
  file: z
    .string()
    .min(1)
    .refine((file) => !file.startsWith("/") && !file.split("/").includes(".."), "must lie inside the bundle"),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits"),
});
const programSchema = fileSchema.extend({ version: z.string() });
const providerSchema = z.object({
  version: z.string(),
  crds: z.array(fileSchema).min(1),
  webhooks: z.array(fileSchema),
});

const manifestSchema = z.object({
  schema: z.literal(1, "must be 1: this gateway knows no other"),
  programs: z.record(z.enum(programNames), programSchema),
  providers: z.record(z.enum(providerNames), providerSchema),
});

/** `manifest.json`. */
export type Manifest = z.infer<typeof manifestSchema>;
type ManifestFile = z.infer<typeof fileSchema>;

/** Reads a bundle and checks all of it. Invalid, with every mistake found, when it is not the one this gateway is made for. */
export async function openBundle(folder: string, options: BundleOptions = {}): Promise<Bundle> {
  const text = await readFile(join(folder, "manifest.json"), "utf8").catch((cause: Error) => {
    const problem = { field: "manifest.json", message: `cannot be read (${cause.message})` };
    throw refusal(folder, [problem]);
  });
  const manifest = parseManifest(folder, text);
  const versions = wrongVersions(manifest);
  if (versions.length > 0) throw refusal(folder, versions);

  const files = filesOf(manifest);
  const paths = files.map(({ file }) => join(resolve(folder), file));
  const digests = await digestsOf(paths, options.memory);
  const damage = files.flatMap((each, index) => damageOf(each, digests[index]!));
  if (damage.length > 0) throw refusal(folder, damage);

  const programs = {} as Record<ProgramName, { path: string; version: string }>;
  for (const name of programNames) {
    const { file, version } = manifest.programs[name];
    programs[name] = { path: join(resolve(folder), file), version };
  }
  const parts = {} as Record<ProviderName, ProviderParts>;
  for (const name of providerNames) {
    const { version, crds, webhooks } = manifest.providers[name];
    parts[name] = {
      version,
      crds: await resourcesOf(folder, crds),
      webhooks: await resourcesOf(folder, webhooks),
    };
  }
  return { digest: createHash("sha256").update(text).digest("hex"), programs, providers: parts };
}

/** The manifest in this text. Invalid, with every mistake found. Pure. */
export function parseManifest(folder: string, text: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refusal(folder, [{ field: "manifest.json", message: `is not JSON (${(cause as Error).message})` }]);
  }
  const read = manifestSchema.safeParse(value);
  if (read.success) return read.data;
  throw refusal(
    folder,
    read.error.issues.map(({ path, message }) => ({ field: `manifest.json: ${path.join(".")}`, message })),
  );
}

/** What is there in another version than this gateway is made for. Pure. */
export function wrongVersions(manifest: Manifest): Problem[] {
  const wrong = (what: string, has: string, needs: string): Problem[] =>
    has === needs
      ? []
      : [{ field: what, message: `is version ${has}, and this gateway is made for ${needs}` }];
  return [
    ...programNames.flatMap((name) => wrong(name, manifest.programs[name].version, programVersions[name])),
    ...providerNames.flatMap((name) =>
      wrong(`provider ${name}`, manifest.providers[name].version, providers[name].version),
    ),
  ];
}

/** Every file that a manifest names, each once. Pure. */
export function filesOf(manifest: Manifest): ManifestFile[] {
  const all: ManifestFile[] = [
    ...Object.values(manifest.programs),
    ...Object.values(manifest.providers).flatMap(({ crds, webhooks }) => [...crds, ...webhooks]),
  ];
  return [...new Map(all.map((each) => [each.file, each])).values()];
}

function damageOf({ file, sha256 }: ManifestFile, digest: Digest): Problem[] {
  if ("unreadable" in digest) return [{ field: file, message: `cannot be read (${digest.unreadable})` }];
  if (digest.sha256 === sha256) return [];
  const short = (text: string) => `${text.slice(0, 12)}…`;
  return [
    {
      field: file,
      message: `has SHA-256 ${short(digest.sha256)}, and the manifest says ${short(sha256)}: it was changed or is damaged`,
    },
  ];
}

async function resourcesOf(folder: string, files: readonly ManifestFile[]): Promise<Resource[]> {
  const lists = await Promise.all(
    files.map(async ({ file }) => resourcesIn(folder, file, await readFile(join(folder, file), "utf8"))),
  );
  return lists.flat();
}

/** YAML of one or many documents, or JSON (fifty times as fast to read): an object or a List. */
function resourcesIn(folder: string, file: string, text: string): Resource[] {
  if (text.startsWith("{")) {
    try {
      const value = JSON.parse(text) as Resource & { items?: Resource[] };
      return value.kind === "List" ? (value.items ?? []) : [value];
    } catch (error) {
      throw refusal(folder, [{ field: file, message: `is not JSON (${(error as Error).message})` }]);
    }
  }
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    if (document.errors.length > 0) {
      throw refusal(folder, [{ field: file, message: `is not YAML (${document.errors[0]!.message})` }]);
    }
    const value = document.toJS() as Resource | null;
    return value ? [value] : [];
  });
}

function refusal(folder: string, problems: readonly Problem[]): Fault {
  const list = problems.map(({ field, message }) => `${field} ${message}`).join("; ");
  return new Fault(
    "Invalid",
    `the bundle ${folder} cannot be used: ${list}. Install the bundle that belongs to this version of the gateway again.`,
    { problems },
  );
}

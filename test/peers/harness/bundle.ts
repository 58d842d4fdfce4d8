// The bundle that the control plane is started from (controlplane/bundle.ts), made of the programs that were built and of what lies in the
// Go modules: CRDs and webhook manifests of upstream.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { parseAllDocuments } from "yaml";
import { programNames, providerNames, type Manifest, type ProviderName } from "#controlplane";
import type { Resource } from "#core";
import { binaries, type Report } from "./build.ts";
import { versionOf } from "./recipe.ts";

const modules = join(import.meta.dirname, "..");

interface Place {
  readonly module: string;
  readonly crds: string;
  readonly webhooks: string;
}

const capi = "sigs.k8s.io/cluster-api";
const capv = "sigs.k8s.io/cluster-api-provider-vsphere";

const places: Readonly<Record<ProviderName, Place>> = {
  core: { module: capi, crds: "config/crd/bases", webhooks: "config/webhook/manifests.yaml" },
  bootstrap: {
    module: capi,
    crds: "bootstrap/kubeadm/config/crd/bases",
    webhooks: "bootstrap/kubeadm/config/webhook/manifests.yaml",
  },
  "control-plane": {
    module: capi,
    crds: "controlplane/kubeadm/config/crd/bases",
    webhooks: "controlplane/kubeadm/config/webhook/manifests.yaml",
  },
  infrastructure: {
    module: capv,
    crds: "config/default/crd/bases",
    webhooks: "config/govmomi/webhook/manifests.yaml",
  },
};

/** The folder of the bundle; built if need be. It is shared by all runs: copy it (`bundleCopy`) before changing anything in it. */
export async function peerBundle(report: Report = () => {}): Promise<string> {
  const kube = await binaries("kube", report);
  const managers = await binaries("capi", report);
  const path = (program: string) => {
    const built = kube(program);
    return existsSync(built) ? built : managers(program);
  };
  const folders = new Map([capi, capv].map((name) => [name, moduleFolder(name)]));
  const key = createHash("sha256")
    .update(readFileSync(import.meta.filename))
    .update(JSON.stringify([programNames.map(path), [...folders]]))
    .digest("hex")
    .slice(0, 16);
  const target = join(dirname(dirname(kube("etcd"))), `bundle-${key}`);
  if (existsSync(target)) return target;

  const workshop = `${target}.${process.pid}`;
  rmSync(workshop, { recursive: true, force: true });
  for (const folder of ["bin", "crds", "webhooks"]) mkdirSync(join(workshop, folder), { recursive: true });
  const manifest = {
    schema: 1,
    programs: Object.fromEntries(
      programNames.map((program) => {
        link(path(program), join(workshop, "bin", program));
        return [program, { version: programVersion(program), ...entry(workshop, `bin/${program}`) }];
      }),
    ),
    providers: Object.fromEntries(
      providerNames.map((provider) => {
        const place = places[provider];
        const from = folders.get(place.module)!;
        const bases = readdirSync(join(from, place.crds)).sort();
        const crds = bases.map((file) => join(from, place.crds, file));
        writeList(join(workshop, `crds/${provider}.json`), crds);
        writeList(join(workshop, `webhooks/${provider}.json`), [join(from, place.webhooks)]);
        return [
          provider,
          {
            version: moduleVersion("capi", place.module),
            crds: [entry(workshop, `crds/${provider}.json`)],
            webhooks: [entry(workshop, `webhooks/${provider}.json`)],
          },
        ];
      }),
    ),
  } as Manifest;
  writeFileSync(join(workshop, "manifest.json"), JSON.stringify(manifest, undefined, 2));
  try {
    renameSync(workshop, target);
  } catch (error) {
    rmSync(workshop, { recursive: true, force: true });
    if (!existsSync(target)) throw error; // somebody else was faster
  }
  return target;
}

/** An older Cluster API and CAPV, as far as they are YAML: their programs would take minutes to build, and it is the CRDs that objects outlive. */
export const older = { capi: "1.10.6", capv: "1.14.0" } as const;

/** Upstream's CRDs of the older versions, of every provider. Fetched once, by Go. */
export function olderCrds(): Resource[] {
  const folders = new Map([
    [capi, fetched(capi, older.capi)],
    [capv, fetched(capv, older.capv)],
  ]);
  return providerNames.flatMap((provider) => {
    const { module, crds } = places[provider];
    const from = join(folders.get(module)!, crds);
    return documentsIn(
      readdirSync(from)
        .sort()
        .map((file) => join(from, file)),
    ) as Resource[];
  });
}

function fetched(module: string, version: string): string {
  const { stdout, stderr } = spawnSync("go", ["mod", "download", "-json", `${module}@v${version}`], {
    cwd: join(modules, "capi"),
    encoding: "utf8",
  });
  const { Dir, Error: error = stderr } = JSON.parse(stdout || "{}") as { Dir?: string; Error?: string };
  if (!Dir) throw new Error(`the Go module ${module} v${version} could not be fetched: ${error}`);
  return Dir;
}

/** A bundle of one's own to spoil: everything linked, the manifest a file of its own. */
export function bundleCopy(bundle: string, target: string): void {
  const files = readdirSync(bundle, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  for (const file of files) {
    const from = join(file.parentPath, file.name);
    const to = join(target, from.slice(bundle.length + 1));
    mkdirSync(dirname(to), { recursive: true });
    if (file.name === "manifest.json") copyFileSync(from, to);
    else link(from, to);
  }
}

/** What is in these YAML files as one List in JSON: the gateway reads it in a moment, and YAML in a second. */
function writeList(target: string, files: readonly string[]): void {
  const items = documentsIn(files);
  writeFileSync(target, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
}

function documentsIn(files: readonly string[]): unknown[] {
  return files.flatMap((file) =>
    parseAllDocuments(readFileSync(file, "utf8")).flatMap((document) => (document.toJS() as unknown) ?? []),
  );
}

/** A hard link where both lie on one disk. */
function link(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

function entry(folder: string, file: string): { file: string; sha256: string } {
  return {
    file,
    sha256: createHash("sha256")
      .update(readFileSync(join(folder, file)))
      .digest("hex"),
  };
}

function programVersion(program: (typeof programNames)[number]): string {
  switch (program) {
    case "etcd":
    case "etcdutl":
      return moduleVersion("kube", "go.etcd.io/etcd/server/v3");
    case "kube-apiserver":
    case "kube-controller-manager":
      return moduleVersion("kube", "k8s.io/kubernetes");
    case "capi-core":
    case "cabpk":
    case "kcp":
      return moduleVersion("capi", capi);
    case "capv":
      return moduleVersion("capi", capv);
  }
}

function moduleVersion(module: "kube" | "capi", dependency: string): string {
  return versionOf(join(modules, module), dependency).replace(/^v/, "");
}

/** Where Go keeps the module's files; `binaries` has fetched them. */
function moduleFolder(dependency: string): string {
  const cwd = join(modules, "capi");
  const list = () =>
    spawnSync("go", ["list", "-m", "-f", "{{.Dir}}", dependency], { cwd, encoding: "utf8" }).stdout.trim();
  let found = list();
  if (!found) {
    // programs built elsewhere and copied here: only the module's source is missing
    spawnSync("go", ["mod", "download", dependency], { cwd });
    found = list();
  }
  if (!found) throw new Error(`the Go module ${dependency} is not there, and could not be fetched`);
  return found;
}

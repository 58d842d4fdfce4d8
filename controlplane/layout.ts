// Where things lie in the control plane's data directory.
import { mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#core";
import type { ProgramName } from "./versions.ts";

export interface Layout {
  readonly dataDir: string;
  /** Held by the one process that runs this control plane. */
  readonly lock: string;
  /** Says that there was data once (restore.ts, E4). */
  readonly begun: string;
  /** etcd's own. */
  readonly etcd: string;
  readonly snapshots: string;
  /** Snapshots of before an upgrade. */
  readonly upgrades: string;
  /** Which versions ran here last (upgrade.ts). */
  readonly versions: string;
  /** Keys and certificates: 0700. */
  readonly pki: string;
  /** Sockets and whatever need not outlive the machine: 0700, so that nobody else reaches etcd. */
  readonly run: string;
  readonly etcdSocket: string;
  readonly etcdHttpSocket: string;
  readonly ports: string;
  readonly adminKubeconfig: string;
  /** What a bundle's digests were computed of (digests.ts). */
  readonly digests: string;
  /** The folder with a program's `tls.crt`, `tls.key`, and `kubeconfig` where it speaks to the API server. */
  pair(program: ProgramName | "admin"): string;
}

/** What fits into the kernel's address of a socket, without the closing zero. */
const socketLimit = 107;

/** Invalid when the path is too long for the sockets in it. */
export function layoutOf(dataDir: string): Layout {
  const at = (...parts: string[]) => join(dataDir, ...parts);
  const layout: Layout = {
    dataDir,
    lock: at("lock"),
    begun: at("begun"),
    etcd: at("etcd"),
    snapshots: at("snapshots"),
    upgrades: at("snapshots", "upgrades"),
    versions: at("versions.json"),
    pki: at("pki"),
    run: at("run"),
    etcdSocket: at("run", "etcd.sock"),
    etcdHttpSocket: at("run", "etcd-http.sock"),
    ports: at("ports.json"),
    adminKubeconfig: at("admin.kubeconfig"),
    digests: at("digests.json"),
    pair: (program) => at("pki", program),
  };
  const spare = socketLimit - Buffer.byteLength(layout.etcdHttpSocket);
  if (spare < 0) {
    throw new Fault(
      "Invalid",
      `the control plane's data directory ${dataDir} has too long a path for the sockets in it: shorten it by ${-spare} bytes`,
    );
  }
  return layout;
}

/** Where the administrator's kubeconfig is, for whoever runs nothing here. */
export function kubeconfigPathIn(dataDir: string): string {
  return layoutOf(dataDir).adminKubeconfig;
}

/** The folders of a data directory, made where they are missing, readable by their owner alone. */
export async function settleFolders(dataDir: string): Promise<Layout> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const layout = layoutOf(await realpath(dataDir));
  for (const folder of [layout.pki, layout.run, layout.snapshots, layout.upgrades]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  }
  return layout;
}

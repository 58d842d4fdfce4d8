// What may run in a workload cluster: images by name, played by functions in this process.
import type { ResourceStore } from "#core";
import type { Deployment } from "#proto";

export interface ProgramPod {
  /** The workload cluster's own API, without a line in between. */
  readonly store: ResourceStore;
  /** The same API by its address: an administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Of the Deployment. */
  readonly namespace: string;
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Secrets mounted, by their names: their values as text. */
  readonly files: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Called with all of them whenever a mounted Secret has changed. */
  onFiles(listener: (files: ProgramPod["files"]) => void): void;
  readonly deployment: Deployment;
  /** Tells whether it is ready to serve. A program that never calls this is ready while it runs. */
  tellReady(ready: boolean): void;
}

/** Runs until the signal aborts. What it throws, or an early return, is a crash: it is started again after a while. */
export type Program = (pod: ProgramPod, signal: AbortSignal) => Promise<void>;

/** Programs by image name, without registry, path and tag. */
export type Programs = Readonly<Record<string, Program>>;

/** "registry.local:5000/a/b:v1@sha256:…" as "b". */
export function imageName(image: string): string {
  const last = image.split("@")[0]?.split("/").at(-1) ?? image;
  return last.split(":")[0] ?? last;
}

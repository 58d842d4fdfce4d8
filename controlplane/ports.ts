// Ports on 127.0.0.1, remembered so that kubeconfigs and webhooks stay valid over restarts.
import { createServer } from "node:net";
import { Fault } from "#core";
import { textOf, writeDurably } from "./files.ts";

export const portNames = [
  "kube-apiserver",
  "kube-controller-manager",
  "capi-core.webhook",
  "capi-core.health",
  "cabpk.webhook",
  "cabpk.health",
  "kcp.webhook",
  "kcp.health",
  "capv.webhook",
  "capv.health",
] as const;

export type PortName = (typeof portNames)[number];
export type Ports = Readonly<Record<PortName, number>>;

/** Below the range from which the kernel takes ports for those who dial out, so that nobody sits on ours when we come back. */
const range = { from: 20_000, to: 32_000 };

export interface PortDeps {
  readonly random: () => number;
  /** Whether nobody listens on it now; asks the kernel unless told. */
  readonly isFree?: (port: number) => Promise<boolean>;
}

/** The ports as they were, but for those that somebody else has taken meanwhile; a first start finds all. */
export async function settlePorts(file: string, deps: PortDeps): Promise<Ports> {
  const text = await textOf(file);
  const ports = await choosePorts(remembered(text), deps);
  const next = JSON.stringify(ports, undefined, 2);
  if (next !== text) await writeDurably(file, next);
  return ports;
}

/** One port for each name: the one it had where that is free, another where not. */
export async function choosePorts(before: Partial<Ports>, deps: PortDeps): Promise<Ports> {
  const { random, isFree = isPortFree } = deps;
  const chosen = new Map<PortName, number>();
  const used = new Set<number>();
  const take = (name: PortName, port: number) => {
    chosen.set(name, port);
    used.add(port);
  };
  for (const name of portNames) {
    const port = before[name];
    if (port !== undefined && !used.has(port) && (await isFree(port))) take(name, port);
  }
  for (const name of portNames) {
    for (let attempt = 0; !chosen.has(name); attempt++) {
      if (attempt === 1000) {
        throw new Fault("Unavailable", `no free port on 127.0.0.1 between ${range.from} and ${range.to}`);
      }
      const port = range.from + Math.floor(random() * (range.to - range.from));
      if (!used.has(port) && (await isFree(port))) take(name, port);
    }
  }
  return Object.fromEntries(portNames.map((name) => [name, chosen.get(name)])) as unknown as Ports;
}

/** What a file of ports says; a damaged one says nothing. */
function remembered(text: string | undefined): Partial<Ports> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    const entries = Object.entries(value as Record<string, unknown>);
    return Object.fromEntries(entries.filter(([, port]) => Number.isInteger(port))) as Partial<Ports>;
  } catch {
    return {};
  }
}

function isPortFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

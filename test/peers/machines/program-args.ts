// How the arguments of a container become those of a process beside others: ports of its own, paths of its own. Pure.

export interface ProcessPlace {
  readonly kubeconfig: string;
  /** Free ports. */
  readonly ports: { readonly webhook: number; readonly health: number; readonly diagnostics: number };
  /** Folders that stand for what is mounted in the container, by mount path. */
  readonly mounts: ReadonlyMap<string, string>;
}

export interface ProcessArgs {
  readonly args: readonly string[];
  /** The port on this host for one inside the container. */
  readonly ports: ReadonlyMap<number, number>;
}

/** Flags whose values cannot stay; with what upstream's managers take when they are absent. */
const moved = {
  "webhook-port": "9443",
  "health-addr": ":9440",
  "diagnostics-address": ":8443",
  "webhook-cert-dir": "/tmp/k8s-webhook-server/serving-certs/",
  "leader-elect": "false",
  kubeconfig: "",
};
type Moved = keyof typeof moved;

/** For Cluster API's managers, which share their flags. */
export function managerArgs(given: readonly string[], place: ProcessPlace): ProcessArgs {
  const told: Record<Moved, string> = { ...moved };
  const rest: string[] = [];
  for (let at = 0; at < given.length; at++) {
    const arg = given[at] ?? "";
    const [, name = "", inline] = /^--?([^=]+)(?:=(.*))?$/s.exec(arg) ?? [];
    if (!(name in moved)) {
      rest.push(inPlace(arg, place.mounts));
      continue;
    }
    const next = given[at + 1];
    const follows = inline === undefined && next !== undefined && !next.startsWith("-");
    if (follows) at++;
    told[name as Moved] = inline ?? (follows ? next : "true");
  }
  const { ports } = place;
  const address = (port: number) => `127.0.0.1:${port}`;
  return {
    args: [
      ...rest,
      `--kubeconfig=${place.kubeconfig}`,
      `--webhook-port=${ports.webhook}`,
      `--webhook-cert-dir=${under(told["webhook-cert-dir"], place.mounts)}`,
      `--health-addr=${address(ports.health)}`,
      `--diagnostics-address=${address(ports.diagnostics)}`,
      "--leader-elect=false", // the lease's namespace is known inside a pod only; a Deployment is one process here
    ],
    ports: new Map([
      [portOf(told["webhook-port"]), ports.webhook],
      [portOf(told["health-addr"]), ports.health],
      [portOf(told["diagnostics-address"]), ports.diagnostics],
    ]),
  };
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** "--credentials-file=/etc/capv/credentials.yaml" with the folder that stands for /etc/capv. */
function inPlace(arg: string, mounts: ProcessPlace["mounts"]): string {
  const at = arg.indexOf("=/");
  if (at >= 0) return arg.slice(0, at + 1) + under(arg.slice(at + 1), mounts);
  return arg.startsWith("/") ? under(arg, mounts) : arg;
}

/** A path inside the container as one on this host; one that is not mounted stays. */
export function under(path: string, mounts: ProcessPlace["mounts"]): string {
  const bare = path.replace(/\/+$/, "");
  for (const [mount, folder] of mounts) {
    const root = mount.replace(/\/+$/, "");
    if (bare === root || bare.startsWith(`${root}/`)) return folder + bare.slice(root.length);
  }
  return path;
}

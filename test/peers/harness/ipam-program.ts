// `pcg ipam run` as a process beside a test.
import { join } from "node:path";
import { Child, freePorts } from "./child.ts";
import type { Kube } from "./kube.ts";

/** Our program. */
export const pcg = join(import.meta.dirname, "../../../bin/pcg");

/** Starts the program; resolves when it says that it is ready. */
export async function startIpam(
  kube: Pick<Kube, "kubeconfigPath">,
  dir: string,
  name: string,
  args: readonly string[],
): Promise<Child> {
  const [health] = (await freePorts(1)) as [number];
  const own = [
    `--kubeconfig=${kube.kubeconfigPath}`,
    "--diagnostics-address=0",
    `--health-addr=127.0.0.1:${health}`,
  ];
  const child = new Child({
    name,
    dir,
    program: process.execPath,
    args: [pcg, "ipam", "run", ...own, ...args],
  });
  const ready = async () => ((await fetch(`http://127.0.0.1:${health}/readyz`)).ok ? true : undefined);
  await child.until("becoming ready", ready, 60_000);
  return child;
}

export async function until(what: string, holds: () => Promise<boolean>, patienceMs = 30_000): Promise<void> {
  for (const deadline = Date.now() + patienceMs; !(await holds());) {
    if (Date.now() > deadline) throw new Error(`not in ${patienceMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// A control plane in a process of its own, to be killed: `node --import tsx control-plane-child.ts BUNDLE DATADIR`. Says, as a line of
// JSON, when it is ready and where; SIGTERM closes it in good order.
import { openBundle, startControlPlane } from "#controlplane";
import { silentLogger, systemClock } from "#core";

const [bundle = "", dataDir = ""] = process.argv.slice(2);
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
const controlPlane = await startControlPlane(
  { dataDir, bundle: await openBundle(bundle), fsync: false },
  { clock: systemClock, log: silentLogger, random: Math.random },
  stop.signal,
);
const { server, kubeconfig } = controlPlane;
console.log(JSON.stringify({ server, kubeconfig, programs: await controlPlane.status() }));

// pcg controlplane: the embedded control plane from outside. It reads the gateway's own configuration, since it works on its folder.
import { Fault, formatTime } from "#core";
import {
  kubeconfigPathIn,
  restoreControlPlane,
  snapshotControlPlane,
  snapshotsOf,
  type SnapshotInfo,
} from "#controlplane";
import { controlPlaneDir, embeddedPrograms, gatewayOptions, type GatewayOptions } from "#gateway";
import { gateway } from "#proto";
import { parseFormat, show, table, type Format } from "../output.ts";
import { settingsOf } from "../settings.ts";
import type { World } from "../world.ts";
import { openKubeconfig } from "./connect.ts";
import { programsTable } from "./status.ts";

const verbs = ["status", "snapshots", "snapshot", "restore"] as const;
type Verb = (typeof verbs)[number];

export async function controlplane(world: World, argv: readonly string[]): Promise<void> {
  const { verb, file, format, rest } = read(argv);
  const settings = await settingsOf(gatewayOptions, rest, world);
  const { mode } = settings.controlPlane;
  if (mode !== "embedded") {
    throw new Fault(
      "Invalid",
      `controlPlane.mode is ${mode}: pcg controlplane is for a gateway with a control plane of its own (embedded)`,
    );
  }
  switch (verb) {
    case "status":
      return status(world, settings, format);
    case "snapshots":
      return sayAll(world, format, await snapshotsOf(controlPlaneDir(settings.dataDir)));
    case "snapshot":
      return sayAll(world, format, [
        await snapshotControlPlane(
          { dataDir: controlPlaneDir(settings.dataDir), keep: settings.controlPlane.snapshots.keep },
          world,
          world.signal,
        ),
      ]);
    case "restore":
      return restore(world, settings, file);
  }
}

/** Words before the first flag; the rest is the gateway's. Pure. */
function read(argv: readonly string[]): {
  verb: Verb;
  file: string | undefined;
  format: Format;
  rest: readonly string[];
} {
  const rest = [...argv];
  let format: Format = "table";
  const at = rest.findIndex((word) => word === "-o" || word === "--output");
  if (at >= 0) {
    const [, word = ""] = rest.splice(at, 2);
    format = parseFormat(word);
  }
  const flag = rest.findIndex((word) => word.startsWith("-"));
  const words = rest.splice(0, flag < 0 ? rest.length : flag);
  const [verb, file, more] = words;
  if (!verbs.includes(verb as Verb) || more !== undefined || (file !== undefined && verb !== "restore")) {
    throw new Fault(
      "Invalid",
      "which? pcg controlplane status | snapshots | snapshot | restore [FILE], and --config with the gateway's file",
    );
  }
  return { verb: verb as Verb, file, format, rest };
}

async function status(world: World, { dataDir }: GatewayOptions, format: Format): Promise<void> {
  const store = await openKubeconfig(world, kubeconfigPathIn(controlPlaneDir(dataDir)));
  try {
    const { programs = [] } = (await store.get(gateway, { name: "gateway" }))?.status ?? {};
    show(world.output, format, programs, () => programsTable(world.output, programs));
  } finally {
    await store.close();
  }
}

function sayAll(world: World, format: Format, snapshots: readonly SnapshotInfo[]): void {
  show(world.output, format, snapshots, () =>
    snapshots.length === 0
      ? "no snapshots"
      : table(
          ["TAKEN", "OBJECTS", "REVISION", "SIZE", "FILE"],
          snapshots.map(({ takenAt, objects, revision, bytes, path }) => [
            formatTime(takenAt),
            String(objects),
            String(revision),
            `${(bytes / 2 ** 20).toFixed(1)} MiB`,
            path,
          ]),
        ),
  );
}

async function restore(world: World, settings: GatewayOptions, file: string | undefined): Promise<void> {
  const { from, snapshot } = await restoreControlPlane(
    {
      dataDir: controlPlaneDir(settings.dataDir),
      bundle: await embeddedPrograms(settings),
      ...(file === undefined ? {} : { file }),
    },
    world,
    world.signal,
  );
  const what = snapshot ? ` (${snapshot.objects} objects, ${formatTime(snapshot.takenAt)})` : "";
  world.output.line(`restored from ${from}${what}`);
  world.output.line(
    "start the gateway now; what changed since the snapshot it takes from its clusters' mirrors",
  );
}

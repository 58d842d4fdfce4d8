// pcg plane: runs the reference plane. pcg plane code: asks it for a pairing code.
import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openGrpcHub, planeOptions, startPlane } from "#plane";
import { writeContext } from "../context.ts";
import { settingsOf } from "../settings.ts";
import { untilStopped } from "../until-stopped.ts";
import type { World } from "../world.ts";
import { openPlane } from "./connect.ts";

export async function runPlane(world: World, argv: readonly string[]): Promise<void> {
  const settings = await settingsOf(planeOptions, argv, world);
  const log = world.logAt(settings.log.level);
  const plane = await startPlane(
    {
      dataDir: settings.dataDir,
      listen: settings.listen,
      tunnelListen: settings.tunnelListen,
      publicUrl: settings.publicUrl?.href,
      publicTunnel: settings.publicTunnel?.text,
      names: settings.names,
      trustedProxies: settings.trustedProxies,
      tenantName: settings.tenantName,
      pairingTtlMs: settings.pairingTtl,
      certificateLifeMs: settings.certificateLife,
      health: { unhealthyMs: settings.health.unhealthyAfter, alertMs: settings.health.alertAfter },
      version: world.version,
    },
    { clock: world.clock, log, random: world.random, openHub: openGrpcHub },
    world.signal,
  );
  const context = join(settings.dataDir, "context.yaml");
  await writeFile(join(settings.dataDir, "ca.pem"), plane.caPem);
  const known = await access(context).then(
    () => true,
    () => false,
  );
  if (!known) {
    const apiKey = plane.apiKey ?? (await plane.newApiKey("operator"));
    await writeContext(context, { plane: { url: plane.url, ca: plane.caPem, apiKey: apiKey.reveal() } });
  }
  await untilStopped(world.signal, () => plane.close());
}

/** pcg plane code: a pairing code from the plane of the context. */
export async function planeCode(world: World, argv: readonly string[]): Promise<void> {
  const at = argv.indexOf("--context");
  const context = (at >= 0 ? argv[at + 1] : undefined) ?? world.env["PCG_CONTEXT"] ?? ".pcg/context.yaml";
  const { client } = await openPlane(world, context);
  try {
    const { pairingCode, expiresAt } = await client.pairingCode();
    world.output.line(pairingCode);
    world.output.note(`good once, until ${expiresAt}: pcg gateway pair ${pairingCode}`);
  } finally {
    await client.close();
  }
}

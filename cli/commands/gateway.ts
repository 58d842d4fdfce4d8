// pcg gateway: runs the gateway. pcg gateway pair CODE: binds it to a plane.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#core";
import { keyFileSeal } from "#core/store/seal.ts";
import { gatewayOptions, planeCa, startGateway } from "#gateway";
import { pair } from "#tunnel/identity/index.ts";
import { settingsOf } from "../settings.ts";
import { untilStopped } from "../until-stopped.ts";
import type { World } from "../world.ts";

export async function runGateway(world: World, argv: readonly string[]): Promise<void> {
  const settings = await settingsOf(gatewayOptions, argv, world);
  const log = world.logAt(settings.log.level);
  const gateway = await startGateway(
    settings,
    { clock: world.clock, log, random: world.random, version: world.version, memory: world.memory },
    world.signal,
  );
  if (!gateway.identity() && !settings.plane.pairingCode) {
    log.warn("not paired yet: make a pairing code at the plane, then run: pcg gateway pair CODE", {
      dataDir: settings.dataDir,
    });
  }
  await untilStopped(world.signal, () => gateway.close());
}

/** Pairs a gateway, running or not; a running one notices within a second. */
export async function pairGateway(
  world: World,
  code: string | undefined,
  argv: readonly string[],
): Promise<void> {
  if (!code)
    throw new Fault("Invalid", "which code? pcg gateway pair CODE (the plane makes one: pcg plane code)");
  const settings = await settingsOf(gatewayOptions, argv, world);
  await mkdir(settings.dataDir, { recursive: true, mode: 0o700 });
  const identity = await pair({
    planeUrl: settings.plane.url.href,
    ...(await planeCa(settings)),
    code,
    name: settings.name,
    dataDir: settings.dataDir,
    clock: world.clock,
    log: world.log,
    signal: world.signal,
    seal: await keyFileSeal(join(settings.dataDir, "key")),
  });
  world.output.line(`paired with ${identity.planeUrl} as gateway ${identity.uid}`);
}

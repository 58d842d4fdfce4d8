// pcg sandbox: the simulated datacenter as a program of its own, beside a gateway that may come and go.
import { access } from "node:fs/promises";
import { sleep } from "#core";
import { attach, startSandbox } from "../site.ts";
import { sandboxOptions } from "../sandbox-options.ts";
import { settingsOf } from "../settings.ts";
import { untilStopped } from "../until-stopped.ts";
import type { World } from "../world.ts";

export async function runSandbox(world: World, argv: readonly string[]): Promise<void> {
  const settings = await settingsOf(sandboxOptions, argv, world);
  const log = world.logAt(settings.log.level);
  const datacenter = await startSandbox(
    { ...world, log: () => log },
    {
      dataDir: settings.dataDir,
      listen: settings.vcenter.listen.text,
      account: { username: settings.vcenter.username, password: settings.vcenter.password },
    },
  );
  log.info("simulated vCenter ready", {
    server: datacenter.vcenter.server,
    thumbprint: datacenter.vcenter.thumbprint,
    username: settings.vcenter.username,
  });
  let detach: (() => Promise<void>) | undefined;
  const attaching = (async () => {
    await untilThere(settings.gatewayKubeconfig, world);
    detach = await attach(datacenter, settings.gatewayKubeconfig, world);
    log.info("the simulated Cluster API works on the gateway", { kubeconfig: settings.gatewayKubeconfig });
  })();
  attaching.catch((error: unknown) => {
    if (!world.signal.aborted) log.error("the gateway cannot be reached", { error });
  });
  await untilStopped(world.signal, async () => {
    await attaching.catch(() => {});
    await detach?.();
    await datacenter.close();
  });
}

async function untilThere(path: string, { clock, signal }: World): Promise<void> {
  while (
    !(await access(path).then(
      () => true,
      () => false,
    ))
  )
    await sleep(clock, 500, signal);
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { Secret, silentLogger, systemClock } from "#core";
import { connectVsphere } from "#vsphere";
import { startVcsim } from "./vsphere.ts";

const dir = mkdtempSync(join(tmpdir(), "pcg-peers-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it("a changed password ends the sessions of before, and lets the new one in", async () => {
  const vcsim = await startVcsim({ dir });
  const login = (password: Secret) =>
    connectVsphere({
      server: new URL(vcsim.url).host,
      username: vcsim.user,
      password,
      thumbprint: vcsim.thumbprint,
      clock: systemClock,
      log: silentLogger,
    });
  const before = login(vcsim.password);
  await before.inventory.snapshot();
  const next = new Secret("changed");
  await vcsim.setPassword(next);
  await expect(before.inventory.snapshot()).rejects.toMatchObject({ code: "Unauthorized" });
  const after = login(next);
  await after.inventory.snapshot();
  await Promise.all([before.close(), after.close()]);
  await vcsim.stop();
}, 300_000);

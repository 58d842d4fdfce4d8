import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { silentLogger } from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import { join } from "node:path";
import { openLine } from "./link.ts";

describe("the line of a gateway that was never paired", () => {
  it("dials nobody, and ends at once when the program stops", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pcg-line-"));
    const end = new AbortController();
    const clock = fakeClock();
    const line = openLine(
      { clock, log: silentLogger, random: () => 0.5 },
      { dataDir: folder, handlers: {} },
      end.signal,
    );
    await clock.advance(5_000);
    expect([line.identity(), line.link()]).toEqual([undefined, undefined]);
    end.abort();
    await expect(line.opened).rejects.toMatchObject({ code: "Cancelled" });
    await line.close();
    await rm(folder, { recursive: true });
  });
});

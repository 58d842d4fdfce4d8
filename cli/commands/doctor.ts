// pcg doctor: prints findings as they come. Exit status 1 when something is broken.
import { Fault } from "#core";
import { doctorPorts, examine, gatewayOptions, type Finding } from "#gateway";
import { settingsOf } from "../settings.ts";
import type { World } from "../world.ts";

const signs = {
  ok: ["✓", "green"],
  warning: ["!", "yellow"],
  failed: ["✗", "red"],
  skipped: ["-", "dim"],
} as const;

export async function doctor(world: World, argv: readonly string[]): Promise<void> {
  const json = argv.includes("--json");
  const settings = await settingsOf(
    gatewayOptions,
    argv.filter((word) => word !== "--json"),
    world,
  );
  const { ports, close } = await doctorPorts(settings, {
    clock: world.clock,
    log: world.log,
    signal: world.signal,
  });
  const findings: Finding[] = [];
  try {
    for await (const finding of examine(ports)) {
      findings.push(finding);
      if (!json) print(world, finding);
    }
  } finally {
    await close();
  }
  if (json) world.output.line(JSON.stringify({ findings }, undefined, 2));
  const broken = findings.filter((finding) => finding.state === "failed");
  if (broken.length > 0)
    throw new Fault(
      "Forbidden",
      `${broken.length} of ${findings.length} checks failed: ${broken.map((f) => f.check).join(", ")}`,
    );
}

function print({ output }: World, { check, state, message, remedy }: Finding): void {
  const [sign, style] = signs[state];
  output.line(`${output.style(style, sign)} ${check.padEnd(20)} ${message}`);
  if (remedy) output.line(`  ${" ".repeat(20)} → ${remedy}`);
}

// `pcg`: arguments and output only. What a command does lies in commands/ and, below that, in the programs' own folders.
import { Command, CommanderError } from "commander";
import { jsonLogger, systemClock, type LogLevel } from "#core";
import { forceMeans } from "./commands/force.ts";
import { contextFlag, contextOf, outputFlag, runs } from "./flags.ts";
import { addIpCommands } from "./ip-commands.ts";
import { errorText, exitCodeOf, terminalOutput } from "./output.ts";
import { shutdownOnSignals } from "./shutdown.ts";
import { version } from "./version.ts";
import type { World } from "./world.ts";
import { Fault } from "#core";
import { helpText } from "#core/options/index.ts";

const output = terminalOutput({
  out: process.stdout,
  err: process.stderr,
  noColour: Boolean(process.env["NO_COLOR"]),
});
const shutdown = shutdownOnSignals(process, output.note);
const world: World = {
  env: process.env,
  cwd: process.cwd(),
  clock: systemClock,
  random: Math.random,
  output,
  log: jsonLogger("warn", (line) => void process.stderr.write(line)),
  logAt: (level: LogLevel) => jsonLogger(level, (line) => void process.stdout.write(line)),
  memory: () => process.memoryUsage.rss(),
  signal: shutdown.signal,
  version,
};

const program = new Command("pcg")
  .description(
    "The Private Cloud Gateway: Kubernetes clusters in a private vSphere, driven from a plane outside.",
  )
  .version(version)
  .option("--debug", "show where errors come from")
  .configureHelp({ sortSubcommands: false })
  .showHelpAfterError("(pcg --help lists the commands)")
  .exitOverride();

const context = () => contextOf(world);

program
  .command("demo")
  .description(
    "plane, gateway and a simulated datacenter on this machine: pairs them, builds the sample cluster, shows how it goes",
  )
  .option("--once", "end when the cluster runs: exit status 0, or 1 when it does not")
  .option(
    "--real",
    "on real Kubernetes, Cluster API, CAPV and vcsim instead of the sandbox (in a clone, with Go; minutes the first time)",
  )
  .option("--json", "print a summary as JSON and nothing else")
  .option("--data <dir>", "keep state here; .pcg unless told")
  .option("--file <file>", "what to apply; examples/cluster.yaml unless told")
  .option("--timeout <seconds>", "how long the cluster may take", "180")
  .action(
    async (options: {
      once?: boolean;
      real?: boolean;
      json?: boolean;
      data?: string;
      file?: string;
      timeout: string;
    }) => {
      const { demo } = await import("./demo/demo.ts");
      await demo(world, options);
    },
  );

program.addCommand(
  runs(
    world,
    "plane",
    "run the reference plane",
    async () => helpText((await import("#plane")).planeOptions),
    async (argv) => {
      const { runPlane, planeCode } = await import("./commands/plane.ts");
      if (argv[0] === "code") await planeCode(world, argv.slice(1));
      else await runPlane(world, argv);
    },
  ),
);
program.addCommand(
  runs(
    world,
    "gateway",
    "run the gateway; `pcg gateway pair CODE` binds it to a plane",
    async () => helpText((await import("#gateway")).gatewayOptions),
    async (argv) => {
      const { runGateway, pairGateway } = await import("./commands/gateway.ts");
      if (argv[0] === "pair") await pairGateway(world, argv[1], argv.slice(2));
      else await runGateway(world, argv);
    },
  ),
);
program.addCommand(
  runs(
    world,
    "sandbox",
    "run a simulated datacenter: vCenter, Cluster API controllers, workload clusters",
    async () => helpText((await import("./sandbox-options.ts")).sandboxOptions),
    async (argv) => (await import("./commands/sandbox.ts")).runSandbox(world, argv),
  ),
);
program.addCommand(
  runs(
    world,
    "controlplane",
    "the embedded control plane: status | snapshots | snapshot | restore [FILE], with the gateway's --config",
    async () => helpText((await import("#gateway")).gatewayOptions),
    async (argv) => (await import("./commands/controlplane.ts")).controlplane(world, argv),
  ),
);
program.addCommand(
  runs(
    world,
    "doctor",
    "examine the chain from here to plane and vCenter, with a remedy for each broken link",
    async () => helpText((await import("#gateway")).gatewayOptions),
    async (argv) => (await import("./commands/doctor.ts")).doctor(world, argv),
  ),
);

program
  .command("agent")
  .description("run a cluster's agent (in its pod; the gateway installs it)")
  .action(async () => (await import("./commands/agent.ts")).agent(world));

program
  .command("apply")
  .description("send the documents of a file to the plane (plane.pcg.dev/v1) or the gateway (all others)")
  .requiredOption("-f, --filename <file...>", "YAML or JSON")
  .option(...contextFlag)
  .action(async (options: { filename: string[]; context?: string }) => {
    const { apply } = await import("./commands/apply.ts");
    await apply(world, options.filename, { context: options.context ?? context() });
  });

program
  .command("get <kind> [name]")
  .description(
    "show objects: clusters and overlords at the plane, any other kind on the gateway (spa, pools, ipaddressclaims, ...)",
  )
  .option("-n, --namespace <name>", "namespace on the gateway; default unless told")
  .option("-A, --all-namespaces", "in all namespaces")
  .option("-l, --selector <labels>", "label selector, as kubectl has it")
  .option(...outputFlag)
  .option(...contextFlag)
  .action(async (kind: string, name: string | undefined, options: Record<string, never>) => {
    const { get } = await import("./commands/get.ts");
    await get(world, kind, name, { context: context(), ...(options as object) } as never);
  });

program
  .command("delete <kind> <name>")
  .description("delete a cluster (at the plane), or an object on the gateway")
  .option("-n, --namespace <name>", "namespace on the gateway; default unless told")
  .option("--force", forceMeans)
  .option(...contextFlag)
  .action(
    async (
      kind: string,
      name: string,
      options: { context?: string; namespace?: string; force?: boolean },
    ) => {
      const { remove } = await import("./commands/get.ts");
      await remove(world, kind, name, { ...options, context: options.context ?? context() });
    },
  );

program
  .command("events <cluster>")
  .description("what happened to a cluster, as the plane heard it")
  .option("--limit <n>", "how many, the newest", "50")
  .option("-f, --follow", "and go on as it happens")
  .option(...outputFlag)
  .option(...contextFlag)
  .action(
    async (
      cluster: string,
      options: { limit: string; follow?: boolean; output: never; context?: string },
    ) => {
      const { events } = await import("./commands/events.ts");
      const limit = Number(options.limit);
      if (!Number.isInteger(limit) || limit < 1)
        throw new Fault("Invalid", `--limit ${options.limit}: a whole number of at least 1 was expected`);
      await events(world, cluster, { ...options, limit, context: options.context ?? context() });
    },
  );

const aboutCluster = program.command("cluster").description("what a person may say about one cluster");
aboutCluster
  .command("revive <cluster>")
  .description(
    "a cluster whose API answers and has lost its Cluster API objects gets them back from its mirror on the gateway, which " +
      "hands them over again; its machines stay as they are",
  )
  .option(...contextFlag)
  .action(async (cluster: string, options: { context?: string }) => {
    const { revive } = await import("./commands/pivot.ts");
    await revive(world, cluster, { context: options.context ?? context() });
  });
const pivot = aboutCluster
  .command("pivot")
  .description("the hand-over of a cluster's management: where it stands, back, onwards");
pivot
  .command("status <cluster>")
  .description("where it stands, what it waits for, and whether it can be taken back")
  .option(...outputFlag)
  .option(...contextFlag)
  .action(async (cluster: string, options: { output: never; context?: string }) => {
    const { pivotStatus } = await import("./commands/pivot.ts");
    await pivotStatus(world, cluster, { ...options, context: options.context ?? context() });
  });
pivot
  .command("rollback <cluster>")
  .description("take it back where it is not decided yet, and begin no other until `resume`")
  .option(...contextFlag)
  .action(async (cluster: string, options: { context?: string }) => {
    const { pivotRollBack } = await import("./commands/pivot.ts");
    await pivotRollBack(world, cluster, { context: options.context ?? context() });
  });
pivot
  .command("resume <cluster>")
  .description(
    "go on: after a rollback, or after the watch has paused the new side and you have looked at it",
  )
  .option("--source-lost", "the old side is gone for good and its credential is worthless: go on without it")
  .option(...contextFlag)
  .action(async (cluster: string, options: { context?: string; sourceLost?: boolean }) => {
    const { pivotResume } = await import("./commands/pivot.ts");
    await pivotResume(world, cluster, { ...options, context: options.context ?? context() });
  });

program
  .command("status")
  .description("how the gateway is, and what it works on")
  .option(...outputFlag)
  .option(...contextFlag)
  .action(async (options: { output: never; context?: string }) => {
    const { status } = await import("./commands/status.ts");
    await status(world, { ...options, context: options.context ?? context() });
  });

addIpCommands(program, world);

try {
  await program.parseAsync(process.argv);
} catch (error) {
  process.exitCode = exitOf(error);
} finally {
  shutdown.dispose();
}
// Sockets that linger must not keep a finished command alive; what was accepted is on disk.
process.exit();

function exitOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has said it
  const fault = Fault.from(error);
  if (fault.code === "Cancelled" && shutdown.signal.aborted) return 130;
  output.note(errorText(fault, process.argv.includes("--debug")));
  return exitCodeOf(fault.code);
}

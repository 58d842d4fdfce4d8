// `pcg ipam`, for people `pcg ip`: arguments and output only.
import type { Command } from "commander";
import { helpText } from "#core/options/index.ts";
import { contextFlag, contextOf, outputFlag, runs } from "./flags.ts";
import type { World } from "./world.ts";

const ipFlags = (command: Command) =>
  command
    .option("-n, --namespace <name>", "only this namespace")
    .option("--kubeconfig <file>", "any cluster's API in place of the gateway's")
    .option(...outputFlag)
    .option(...contextFlag);
type IpFlags = {
  namespace?: string;
  kubeconfig?: string;
  output: never;
  context?: string;
};
export function addIpCommands(program: Command, world: World): void {
  const ipOptions = <O extends IpFlags>(options: O) => ({
    ...options,
    context: options.context ?? contextOf(world),
  });
  const ip = program
    .command("ipam")
    .alias("ip")
    .description(
      "addresses: pools, claims, why one waits, what a pool's edit would bring; IPAM for any cluster",
    );
  ip.addCommand(
    runs(
      world,
      "run",
      "serve the pools and claims of any API server, in place of the in-cluster provider, Metal3's IPAM and the static-IP controller",
      async () => helpText((await import("#ipam/program/options.ts")).ipamOptions),
      async (argv) => (await import("./commands/ipam.ts")).ipam(world, argv),
    ),
  );
  ip.command("manifests")
    .description("print what to apply to a cluster so that `pcg ipam run` serves it")
    .option("--image <image>", "the program's image", `private-cloud-gateway:${world.version}`)
    .option("-n, --namespace <name>", "where it runs", "pcg-ipam-system")
    .option("--replicas <count>", "how many; one acts, all answer webhooks", "2")
    .option(
      "--with-cluster-api-crds",
      "also the CRDs of IPAddressClaim and IPAddress, which Cluster API brings",
    )
    .option("--no-webhooks", "without webhooks, and so without v1alpha1 of the pools")
    .action(
      async (options: {
        image: string;
        namespace: string;
        replicas: string;
        withClusterApiCrds?: boolean;
        webhooks: boolean;
      }) => (await import("./commands/ipam.ts")).manifests(world, options),
    );
  ipFlags(ip.command("pools").description("pools of all kinds: how many addresses, how many free")).action(
    async (options: IpFlags) => (await import("./commands/ip.ts")).ipPools(world, ipOptions(options)),
  );
  ipFlags(ip.command("claims").description("claims of all kinds: their addresses, or what they wait for"))
    .option("--pool <name>", "only those on pools of this name")
    .option("--waiting", "only those without an address")
    .action(async (options: IpFlags & { pool?: string; waiting?: boolean }) =>
      (await import("./commands/ip.ts")).ipClaims(world, ipOptions(options)),
    );
  ipFlags(
    ip
      .command("explain <claim-or-address>")
      .description("why a claim has its address or not; who has an address"),
  ).action(async (what: string, options: IpFlags) =>
    (await import("./commands/ip.ts")).ipExplain(world, what, ipOptions(options)),
  );

  ipFlags(ip.command("plan").description("what pools in a file would do when they were so; nothing is done"))
    .requiredOption("-f, --filename <file...>", "YAML or JSON with pools")
    .action(async (options: IpFlags & { filename: string[] }) =>
      (await import("./commands/ip-change.ts")).ipPlan(world, options.filename, ipOptions(options)),
    );
  ipFlags(ip.command("import").description("take over addresses in use, as claims that hold them"))
    .requiredOption("--pool <name>", "the pool that gives them out: name, or Kind/name")
    .option("-f, --filename <file>", "a table with the columns address, name, cluster")
    .option("--from-kubeconfig <file>", "the IPAddresses of another cluster")
    .option("--from-vcenter <host>", "the addresses that VMs report, as far as the pool gives them out")
    .option("--vcenter-username <user>", "user to log in as; reading is enough")
    .option("--vcenter-password-file <file>", "its password")
    .option("--vcenter-thumbprint <sha256>", "of vCenter's certificate, in hex with colons")
    .option("--vcenter-ca <file>", "vCenter's certificate authority, PEM")
    .option("--dry-run", "only say what would be done")
    .action(
      async (
        options: IpFlags & {
          pool: string;
          filename?: string;
          fromKubeconfig?: string;
          fromVcenter?: string;
          vcenterUsername?: string;
          vcenterPasswordFile?: string;
          vcenterThumbprint?: string;
          vcenterCa?: string;
          dryRun?: boolean;
        },
      ) => (await import("./commands/ip-change.ts")).ipImport(world, ipOptions(options)),
    );
  ipFlags(ip.command("release <claim-or-address>").description("give an address back"))
    .option("--force", "also when a machine or a cluster uses it")
    .option("--dry-run", "only say what would be done")
    .action(async (what: string, options: IpFlags & { force?: boolean; dryRun?: boolean }) =>
      (await import("./commands/ip-change.ts")).ipRelease(world, what, ipOptions(options)),
    );
  ipFlags(
    ip
      .command("set-aside <cluster> <count>")
      .description("keep room in a pool for what a cluster may grow to; 0 gives it back"),
  )
    .requiredOption("--pool <name>", "the pool: name, or Kind/name")
    .action(async (cluster: string, count: string, options: IpFlags & { pool: string }) =>
      (await import("./commands/ip-change.ts")).ipSetAside(world, cluster, count, ipOptions(options)),
    );
  ipFlags(ip.command("history <address-or-claim>").description("who had an address, and when"))
    .option("--at <time>", "only who had it then, such as 2026-11-27T22:00:00Z")
    .option("--data <dir>", "data folder of the gateway or of `pcg ipam run`; the gateway's unless told")
    .action(async (what: string, options: IpFlags & { at?: string; data?: string }) =>
      (await import("./commands/ip-history.ts")).ipHistory(world, what, ipOptions(options)),
    );
}

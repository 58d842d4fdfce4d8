// A real simulated vCenter: govmomi's vcsim, and govc to look into it from another side.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Secret } from "#core";
import { binaries } from "./build.ts";
import { Child } from "./child.ts";

export interface Vcsim {
  /** "https://127.0.0.1:34567/sdk". */
  readonly url: string;
  /** SHA-256 of its certificate, colon hex. */
  readonly thumbprint: string;
  readonly user: string;
  readonly password: Secret;
  /** A second account, for whoever plays the machines: `setPassword` does not touch it. */
  readonly hands: { readonly user: string; readonly password: Secret };
  /** Runs govc on it and gives what it printed; fails with what it complained about. `env` goes over the settings that let it in. */
  govc(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<string>;
  /** From now on logins need this password; sessions of before are over. govc follows. */
  setPassword(password: Secret): Promise<void>;
  stop(): Promise<void>;
}

export interface VcsimOptions {
  /** An empty folder, for the log. */
  readonly dir: string;
  /** How much there is: "dc", "cluster", "host", "vm" (a pool), "ds", "pg", "standalone-host". */
  readonly size?: Readonly<Record<string, number>>;
}

const user = "administrator@vsphere.local";

export async function startVcsim({ dir, size = {} }: VcsimOptions): Promise<Vcsim> {
  mkdirSync(dir, { recursive: true });
  const program = await binaries("vsphere");
  const password = new Secret(`pw-${process.pid}`);
  const counts = { dc: 1, cluster: 1, host: 3, vm: 1, ...size };
  const passwordFile = join(dir, "password");
  writeFileSync(passwordFile, password.reveal(), { mode: 0o600 });
  const hands = { user: "machines@vsphere.local", password: new Secret(`hands-${process.pid}`) };
  const args = [
    ...["-l", "127.0.0.1:0", "-username", user, "-password-file", passwordFile],
    ...["-hands", `${hands.user}:${hands.password.reveal()}`],
    ...Object.entries(counts).flatMap(([name, count]) => [`-${name}`, String(count)]),
  ];
  const child = new Child({ name: "vcsim", dir, program: program("vcsim"), args });
  try {
    const said = await child.until("listening", () => Promise.resolve(firstLine(child.log)), 20_000);
    const { url, thumbprint } = JSON.parse(said) as { url: string; thumbprint: string };
    const plain = new URL(url);
    plain.username = plain.password = "";
    const env = {
      GOVC_URL: plain.href,
      GOVC_USERNAME: user,
      GOVC_PASSWORD: password.reveal(),
      GOVC_INSECURE: "true", // its certificate is new with every start
      GOVC_PERSIST_SESSION: "false", // a kept session is keyed without the password
    };
    const govc: Vcsim["govc"] = (words, more) => run(program("govc"), words, { ...env, ...more });
    return {
      url: plain.href,
      thumbprint,
      user,
      password,
      hands,
      govc,
      async setPassword(next) {
        writeFileSync(passwordFile, next.reveal(), { mode: 0o600 });
        env.GOVC_PASSWORD = next.reveal();
        const { sessionList } = JSON.parse(await govc(["session.ls", "-json"])) as {
          sessionList: { key: string }[];
        };
        // One of them is govc's own, which is over by now.
        for (const { key } of sessionList) await govc(["session.rm", key]).catch(() => "");
      },
      stop: () => child.stop(),
    };
  } catch (error) {
    await child.stop();
    throw error;
  }
}

function firstLine(log: string): string | undefined {
  return log.split("\n").find((line) => line.startsWith("{") && line.endsWith("}"));
}

/** Runs a program to its end; gives what it printed, fails with what it complained about. */
export function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "/", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [printed, complaint] = ["", ""];
    child.stdout.on("data", (text: Buffer) => (printed += text.toString()));
    child.stderr.on("data", (text: Buffer) => (complaint += text.toString()));
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(printed);
      else reject(new Error(`${args.slice(0, 2).join(" ")} ended with ${code}: ${complaint}`));
    });
  });
}

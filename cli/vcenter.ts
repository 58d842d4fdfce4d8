// A vCenter for commands that ask one without a gateway.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault, Secret, type Clock, type Logger } from "#core";
import type { FollowedEyes, VcenterEyes } from "#gateway";

export interface VcenterSettings {
  readonly server?: { readonly text: string } | undefined;
  readonly username?: string | undefined;
  readonly password?: Secret | undefined;
  readonly passwordFile?: Secret | undefined;
  readonly thumbprint?: string | undefined;
  readonly ca?: string | undefined;
}

/** Settings of a program, which may find all of them in a folder instead. */
export interface AccountSettings extends VcenterSettings {
  readonly accountDir?: string | undefined;
}

type Deps = { readonly clock: Clock; readonly log: Logger };

/** Eyes that follow what `read` says. Undefined where no vCenter is named, or could be later. Invalid where something of one is. */
export async function followVcenter(
  read: () => Promise<AccountSettings>,
  deps: Deps,
): Promise<FollowedEyes | undefined> {
  const settings = await read();
  if (!settings.accountDir && !named(settings)) return undefined;
  const { accountOf, followedEyes } = await import("#gateway");
  return followedEyes(async () => {
    const now = await written(await read());
    return named(now) ? accountOf(whole(now)) : undefined;
  }, deps);
}

/** Logs in at the first question. Invalid where the account is not whole. */
export async function openVcenter(settings: VcenterSettings, deps: Deps): Promise<VcenterEyes> {
  const { accountOf, openVcenterEyes } = await import("#gateway");
  return openVcenterEyes(await accountOf(whole(settings)), deps);
}

/** Whether a vCenter is named. Invalid where something of one is. */
function named({ server, ...rest }: VcenterSettings): boolean {
  if (server) return true;
  const [orphan] = Object.entries(rest).find(([, value]) => value !== undefined) ?? [];
  if (orphan) throw new Fault("Invalid", `vcenter.${orphan} is given, but vcenter.server is not`);
  return false;
}

function whole({ server, username, ...rest }: VcenterSettings) {
  if (!server || !username)
    throw new Fault("Invalid", `vcenter.${server ? "username" : "server"} is missing`);
  return { server, username, ...rest };
}

/** What the folder says, where there is one: a mounted Secret, whose keys are files. One that is not there names no vCenter. */
async function written({ accountDir, ...settings }: AccountSettings): Promise<VcenterSettings> {
  if (accountDir === undefined) return settings;
  const [other] = Object.entries(settings).find(([, value]) => value !== undefined) ?? [];
  if (other) throw new Fault("Invalid", `vcenter.accountDir and vcenter.${other} are both given; keep one`);
  const text = async (key: string) => {
    const bare = (await fileIn(accountDir, key))?.replace(/\r?\n$/, "");
    return bare === "" ? undefined : bare;
  };
  const [server, username, password, thumbprint, ca] = await Promise.all(
    ["SERVER", "USERNAME", "PASSWORD", "THUMBPRINT", "CA"].map(text),
  );
  return {
    server: server === undefined ? undefined : { text: server },
    username,
    passwordFile: password === undefined ? undefined : new Secret(password),
    thumbprint,
    ca: ca === undefined ? undefined : join(accountDir, "CA"),
  };
}

async function fileIn(folder: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(join(folder, name), "utf8");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw new Fault("Invalid", `vcenter.accountDir ${folder}: ${message}`, { cause });
  }
}

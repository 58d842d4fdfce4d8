// A vCenter for commands that ask one without a gateway.
import { Fault, type Clock, type Logger, type Secret } from "#core";
import type { VcenterEyes } from "#gateway";

export interface VcenterSettings {
  readonly server?: { readonly text: string } | undefined;
  readonly username?: string | undefined;
  readonly password?: Secret | undefined;
  readonly passwordFile?: Secret | undefined;
  readonly thumbprint?: string | undefined;
  readonly ca?: string | undefined;
}

/** Undefined where no vCenter is named. Invalid where something of one is. */
export async function vcenterFor(
  settings: VcenterSettings,
  deps: { readonly clock: Clock; readonly log: Logger },
): Promise<VcenterEyes | undefined> {
  if (settings.server) return openVcenter(settings, deps);
  const [orphan] = Object.entries(settings).find(([, value]) => value !== undefined) ?? [];
  if (orphan) throw new Fault("Invalid", `vcenter.${orphan} is given, but vcenter.server is not`);
  return undefined;
}

/** Logs in at the first question. Invalid where the account is not whole. */
export async function openVcenter(
  { server, username, ...rest }: VcenterSettings,
  deps: { readonly clock: Clock; readonly log: Logger },
): Promise<VcenterEyes> {
  if (!server || !username)
    throw new Fault("Invalid", `vcenter.${server ? "username" : "server"} is missing`);
  const { accountOf, openVcenterEyes } = await import("#gateway");
  return openVcenterEyes(await accountOf({ server, username, ...rest }), deps);
}

// The gateway's own vCenter account: from the configuration into the one Secret that Jet copies for each cluster.
import { Fault, type ResourceStore, type Secret } from "#core";
import { applyObject } from "#core/store/helpers.ts";
import { encode64, namespace, secret, type SpaSpec } from "#proto";
import { pemFile } from "./files.ts";

export const systemNamespace = "pcg-system";
/** Also the plane's name for it (plane/desired.ts). */
export const accountSecret = "vcenter";

export interface VcenterAccount {
  readonly server: string;
  readonly username: string;
  readonly password: Secret;
  readonly thumbprint?: string;
  /** PEM. */
  readonly ca?: string;
}

/** Writes the account's Secret, or brings it up to date: a changed password reaches the clusters from there. */
export async function keepAccount(store: ResourceStore, account: VcenterAccount): Promise<void> {
  await applyObject(store, namespace, { metadata: { name: systemNamespace } });
  await applyObject(store, secret, {
    metadata: { name: accountSecret, namespace: systemNamespace },
    type: "Opaque",
    data: { username: encode64(account.username), password: encode64(account.password.reveal()) },
  });
}

/** The account as an SPA names it: everything but the credentials. */
export function cloudOf(account: VcenterAccount): SpaSpec["cloud"] {
  return {
    type: "vsphere",
    server: account.server,
    ...(account.thumbprint ? { thumbprint: account.thumbprint } : {}),
    ...(account.ca ? { caCert: account.ca } : {}),
    credentialRef: { name: accountSecret },
  };
}

/** The account as options have it. Invalid for a password or an authority that is not to be had. */
export async function accountOf(options: {
  readonly server: { readonly text: string };
  readonly username: string;
  readonly password?: Secret | undefined;
  readonly passwordFile?: Secret | undefined;
  readonly thumbprint?: string | undefined;
  readonly ca?: string | undefined;
}): Promise<VcenterAccount> {
  const { server, username, thumbprint, ca, password, passwordFile } = options;
  return {
    server: server.text,
    username,
    password: passwordOf({ ...(password ? { password } : {}), ...(passwordFile ? { passwordFile } : {}) }),
    ...(thumbprint === undefined ? {} : { thumbprint }),
    ...(ca === undefined ? {} : { ca: await pemFile(ca, "vcenter.ca") }),
  };
}

/** The password from whichever of the two options has it. Invalid when none or both are given. */
export function passwordOf(options: { readonly password?: Secret; readonly passwordFile?: Secret }): Secret {
  const { password, passwordFile } = options;
  if (password && passwordFile)
    throw new Fault("Invalid", "vcenter.password and vcenter.passwordFile are both given; keep one");
  const given = passwordFile ?? password;
  if (!given)
    throw new Fault(
      "Invalid",
      "vCenter's password is missing: give vcenter.passwordFile (or vcenter.password)",
    );
  return given;
}

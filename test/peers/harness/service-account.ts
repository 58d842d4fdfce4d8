// A kubeconfig of a ServiceAccount: what its roles do not say, it may not.
import { readFileSync, writeFileSync } from "node:fs";
import { parse } from "yaml";
import { binaries } from "./build.ts";
import { run } from "./vsphere.ts";

/** Writes the file; gives its path. */
export async function asServiceAccount(
  adminPath: string,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  path: string,
): Promise<string> {
  const kubectl = (await binaries("kube"))("kubectl");
  const words = ["create", "token", name, `--namespace=${namespace}`, "--duration=24h"];
  const token = (await run(kubectl, [`--kubeconfig=${adminPath}`, ...words], {})).trim();
  const admin = parse(readFileSync(adminPath, "utf8")) as { users: { name: string }[] };
  const users = admin.users.map((user) => ({ name: user.name, user: { token } }));
  writeFileSync(path, JSON.stringify({ ...admin, users }), { mode: 0o600 });
  return path;
}

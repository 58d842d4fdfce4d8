// Which version of the interface to speak: the newest that both this client's table and the server know.
import { httpGet } from "./soap/http-text.ts";
import type { Transport } from "./soap/transport.ts";

/** The newest version our type table was written from. */
const ours = "8.0.3.0";

/** Asks the server, without a login. Undefined where it does not say: then SOAPAction carries no version. */
export async function negotiateVersion(
  transport: Transport,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const answer = await httpGet(transport, "/sdk/vimServiceVersions.xml", signal);
  return answer.status === 200 ? chooseVersion(answer.text) : undefined;
}

/** Picks from the text of vimServiceVersions.xml: the newest version of urn:vim25 that is not newer than ours. Pure. */
export function chooseVersion(xml: string): string | undefined {
  const vim = /<namespace>\s*<name>urn:vim25<\/name>([\s\S]*?)<\/namespace>/.exec(xml)?.[1] ?? "";
  const offered = [...vim.matchAll(/<version>\s*([\d.]+)\s*<\/version>/g)].map((match) => match[1]!);
  return offered
    .filter((version) => compareVersions(version, ours) <= 0)
    .sort(compareVersions)
    .at(-1);
}

/** Compares dotted numbers: negative when `a` is older. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split(".").map(Number), b.split(".").map(Number)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

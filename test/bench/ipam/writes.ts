// How many writes an API server counts.
import { request } from "node:https";
import type { Kube } from "../../peers/harness/kube.ts";

/** Successful writes by resource, as the API server counts them. */
export async function writes(kube: Kube): Promise<Map<string, number>> {
  const text = await ask(kube, "/metrics");
  const found = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (!line.startsWith("apiserver_request_total{")) continue;
    const label = (name: string) => new RegExp(`[{,]${name}="([^"]*)"`).exec(line)?.[1] ?? "";
    if (!["POST", "PUT", "PATCH", "DELETE"].includes(label("verb")) || !label("code").startsWith("2"))
      continue;
    if (!/^(ip|inclusterip|globalincluster|leases)/.test(label("resource"))) continue;
    if (label("resource") === "leases" && label("verb") === "PUT") continue; // the API server's own
    const name = `${label("verb")} ${label("resource")}${label("subresource") && `/${label("subresource")}`}`;
    found.set(name, (found.get(name) ?? 0) + Number(line.slice(line.lastIndexOf(" ") + 1)));
  }
  return found;
}

export function difference(after: Map<string, number>, before: Map<string, number>): Record<string, number> {
  const entries = [...after].map(([name, n]) => [name, n - (before.get(name) ?? 0)] as const);
  return Object.fromEntries(entries.filter(([, n]) => n !== 0));
}

/** Writes for `count` claims that were created, or deleted, which is not counted; nor is what the pool is told of itself. */
export function perClaim(after: Map<string, number>, before: Map<string, number>, count: number) {
  const all = difference(after, before);
  const isPools = (name: string) => / (inclusterip|globalinclusterip)/.test(name);
  const ofPools = sum(Object.fromEntries(Object.entries(all).filter(([name]) => isPools(name))));
  return {
    writesPerClaim: Math.round(((sum(all) - ofPools - count) / count) * 1000) / 1000,
    writesOfPool: ofPools,
    writes: all,
  };
}

export function sum(writes: Readonly<Record<string, number>>): number {
  return Object.values(writes).reduce((total, n) => total + n, 0);
}

function ask(kube: Kube, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { ca: kube.ca, cert: kube.admin.certificate, key: kube.admin.key.reveal(), agent: false };
    request(kube.server + path, options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve(text));
    })
      .once("error", reject)
      .end();
  });
}

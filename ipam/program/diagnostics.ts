// /healthz and /readyz for the kubelet, /metrics for Prometheus.
import { createServer, type Server } from "node:http";
import { Fault, type ControllerHealth } from "#core";
import type { IpamGauges } from "../gauges.ts";

export interface Page {
  readonly status: number;
  readonly text: string;
}

/** Serves pages by path at "host:port", ":port" or not at all ("0"). Returns the way to stop. */
export async function servePages(
  option: string,
  address: string,
  pages: Readonly<Record<string, () => Page | Promise<Page>>>,
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  if (address === "0" || address === "") return { port: 0, close: async () => {} };
  const [, host = "", port = ""] = /^(.*):(\d+)$/.exec(address) ?? [];
  if (port === "") throw new Fault("Invalid", `${option} ${address}: expected host:port, :port or 0`);
  const server = createServer((request, response) => {
    const page = pages[(request.url ?? "").split("?")[0] ?? ""];
    void Promise.resolve()
      .then(() => page?.() ?? { status: 404, text: "nothing here\n" })
      .catch((error: unknown) => ({ status: 500, text: `${Fault.from(error).message}\n` }))
      .then(({ status, text }) => {
        response.writeHead(status, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
        response.end(text);
      });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new Fault("Unavailable", `${option} ${address}: ${cause.message}`, { cause })),
    );
    server.listen(Number(port), host.replace(/^\[|\]$/g, "") || undefined, resolve);
  });
  const bound = server.address() as { port: number };
  return { port: bound.port, close: () => closed(server) };
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** What Prometheus reads of the program itself; the pools are the inventory's to tell. Pure. */
export function programMetrics(
  gauges: IpamGauges,
  health: readonly ControllerHealth[],
  leads: boolean,
): string {
  const lines: string[] = [];
  const metric = (
    name: string,
    help: string,
    type: "gauge" | "counter",
    samples: readonly [string, number][],
  ) => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [labels, value] of samples) lines.push(`${name}${labels} ${value}`);
  };
  metric("pcg_ipam_claims_bound_total", "Claims bound by this process.", "counter", [["", gauges.bound]]);
  metric(
    "pcg_ipam_claims_bound_seconds_total",
    "How long they had waited since their creation, all together.",
    "counter",
    [["", gauges.boundMs / 1000]],
  );
  const of = (read: (one: ControllerHealth) => number) =>
    health.map((one) => [labelled({ controller: one.name }), read(one)] as [string, number]);
  metric(
    "pcg_ipam_rounds_total",
    "Rounds that ended.",
    "counter",
    of(({ rounds }) => rounds),
  );
  metric(
    "pcg_ipam_round_failures_total",
    "Rounds that failed.",
    "counter",
    of(({ failures }) => failures),
  );
  metric(
    "pcg_ipam_keys_due",
    "Objects that wait for a round.",
    "gauge",
    of(({ due }) => due),
  );
  metric(
    "pcg_ipam_keys_failing",
    "Objects whose last round failed.",
    "gauge",
    of(({ failing }) => failing.length),
  );
  metric("pcg_ipam_leading", "1 where this process acts.", "gauge", [["", leads ? 1 : 0]]);
  return `${lines.join("\n")}\n`;
}

function labelled(labels: Readonly<Record<string, string>>): string {
  const escaped = (value: string) =>
    value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(",")}}`;
}

// Every option of the reference plane, told once (docs/reference/plane-options.md is made from it).
import {
  duration,
  group,
  hostPort,
  list,
  oneOf,
  option,
  path,
  referencePage,
  text,
  url,
  type Infer,
} from "#core/options/index.ts";

export const planeOptions = group({
  dataDir: option(path(), {
    help: "Folder for state and keys; made with mode 0700.",
    default: "./pcg-plane",
  }),
  listen: option(hostPort(7443), { help: "Where the REST API listens.", default: "127.0.0.1:7443" }),
  tunnelListen: option(hostPort(7444), {
    help: "Where gateways and agents dial in.",
    default: "127.0.0.1:7444",
  }),
  publicUrl: option(url(), {
    help: "How gateways and agents reach the REST API, where that is not the listening address.",
    optional: true,
  }),
  publicTunnel: option(hostPort(), {
    help: "How they reach the tunnel, where that is not the listening address.",
    optional: true,
  }),
  names: option(list(text("NAME")), {
    help: "More names and addresses for the plane's own certificates.",
    default: "",
  }),
  tenantName: option(text("NAME"), {
    help: "What the tenant of the first start is called.",
    default: "default",
  }),
  pairingTtl: option(duration({ min: "1s", max: "1d" }), {
    help: "How long a pairing code is good.",
    default: "15m",
  }),
  log: group({
    level: option(oneOf("debug", "info", "warn", "error"), { help: "How much to log.", default: "info" }),
  }),
});

export type PlaneSettings = Infer<typeof planeOptions>;

/** The reference page, markdown. */
export function planeOptionsPage(): string {
  return referencePage(planeOptions, "Options of pcg plane");
}

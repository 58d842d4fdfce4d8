// Options of `pcg sandbox`.
import {
  duration,
  group,
  hostPort,
  oneOf,
  option,
  path,
  secret,
  text,
  type Infer,
} from "#core/options/index.ts";

export const sandboxOptions = group({
  dataDir: option(path(), { help: "Folder for the simulated datacenter's state.", default: "./pcg-sandbox" }),
  vcenter: group({
    listen: option(hostPort(8989), {
      help: "Where the simulated vCenter listens.",
      default: "127.0.0.1:8989",
    }),
    username: option(text("USER"), { help: "The user it knows.", default: "administrator@vsphere.local" }),
    password: option(secret(), { help: "That user's password.", default: "sandbox" }),
    latency: option(duration({ max: "1m" }), { help: "How long each call takes longer.", default: "0" }),
  }),
  gatewayKubeconfig: option(path(), {
    help: "Kubeconfig of the gateway; the simulated Cluster API controllers work there. Waited for when it is not there yet.",
    default: "./pcg-gateway/kubeconfig",
  }),
  log: group({
    level: option(oneOf("debug", "info", "warn", "error"), { help: "How much to log.", default: "info" }),
  }),
});

export type SandboxSettings = Infer<typeof sandboxOptions>;

import { Secret, silentLogger, systemClock } from "#core";
import { vim25Contract } from "#vsphere/contract.ts";
import { startVcenter } from "./index.ts";

vim25Contract("the simulated vCenter", async () => {
  const username = "administrator@vsphere.local";
  const password = new Secret("a password of the test");
  const sim = await startVcenter({
    clock: systemClock,
    log: silentLogger,
    listen: "127.0.0.1:0",
    username,
    password,
  });
  return {
    server: sim.server,
    thumbprint: sim.thumbprint,
    username,
    password,
    facts: {
      datacenter: "DC0",
      cluster: "C0",
      pool: "C0/Resources",
      datastore: "LocalDS_0",
      network: "VM Network",
      folder: "vm",
      template: "ubuntu-2204-kube-v1.35.4",
    },
    close: () => sim.close(),
  };
});

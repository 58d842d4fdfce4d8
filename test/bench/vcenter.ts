// The vCenter client: login, reading 1,000 machines, small calls, and the codec alone. The server is the simulated vCenter in this
// very process, so the CPU of a call is both sides' together; the codec's figures are the client's own.
import { Secret, silentLogger, systemClock } from "#core";
import { defaultInventory, startVcenter, type InventoryModel } from "#sandbox/vcenter/index.ts";
import { connectVsphere, readAll } from "#vsphere";
import { messageReader } from "#vsphere/soap/reader.ts";
import { parseDescriptor } from "#vsphere/soap/table.ts";
import { typed, writeResponse } from "#vsphere/soap/writer.ts";
import type { Figure } from "./figure/limits.ts";

const machines = 1_000;

export async function* run(): AsyncGenerator<Figure> {
  const account = { username: "bench", password: new Secret("bench") };
  const deps = { clock: systemClock, log: silentLogger };
  const sim = await startVcenter({ ...deps, ...account, listen: "127.0.0.1:0", inventory: manyMachines() });
  const client = connectVsphere({ ...deps, ...account, server: sim.server, thumbprint: sim.thumbprint });
  try {
    yield { figure: "connect and log in", ...(await measured(() => client.checkLogin())) };
    const { rootFolder } = await client.session.content();
    for (const round of ["first", "warm"]) {
      yield {
        figure: `list ${machines} machines, 9 properties`,
        round,
        ...(await measured(() => client.vms.list())),
      };
      const heavy = () =>
        readAll(client.session, rootFolder, "VirtualMachine", ["config", "guest", "runtime", "summary"]);
      yield { figure: `read ${machines} machines, everything`, round, ...(await measured(heavy)) };
      yield {
        figure: "inventory without machines",
        round,
        ...(await measured(() => client.inventory.snapshot())),
      };
    }
    const calls = 1_000;
    const { ms } = await measured(async () => {
      for (let i = 0; i < calls; i++) await client.checkLogin();
    });
    yield { figure: "small calls, one after another", perSecond: Math.round((calls / ms) * 1000) };
  } finally {
    await client.close();
    await sim.close();
  }
  yield* codec();
  yield { figure: "memory", rssMB: Math.round(process.memoryUsage().rss / 2 ** 20) };
}

async function* codec(): AsyncGenerator<Figure> {
  const objects = Array.from({ length: machines }, (_, index) => ({
    obj: { type: "VirtualMachine", value: `vm-${index}` },
    propSet: [
      { name: "name", val: `machine-${index}` },
      {
        name: "config.extraConfig",
        val: typed("OptionValue[]", [{ key: "guestinfo.metadata", value: "x".repeat(500) }]),
      },
      {
        name: "guest.net",
        val: typed("GuestNicInfo[]", [{ ipAddress: ["10.0.0.1"], connected: true, deviceConfigId: 4000 }]),
      },
    ],
  }));
  const written = await measured(() => Promise.resolve(writeResponse("RetrieveProperties", objects)));
  const megabytes = written.value.length / 2 ** 20;
  yield { figure: "codec, write", megabytesPerSecond: Math.round((megabytes / written.ms) * 1000) };
  const fields = new Map([["returnval", parseDescriptor("ObjectContent[]")]]);
  const { ms } = await measured(() => {
    const reader = messageReader({ fields: () => fields });
    for (let at = 0; at < written.value.length; at += 65_536)
      reader.write(written.value.slice(at, at + 65_536));
    return Promise.resolve(reader.end());
  });
  yield { figure: "codec, read", megabytesPerSecond: Math.round((megabytes / ms) * 1000) };
}

async function measured<T>(
  work: () => Promise<T>,
): Promise<{ ms: number; cpuMs: number; readonly value: T }> {
  const from = performance.now();
  const cpu = process.cpuUsage();
  const value = await work();
  const { user, system } = process.cpuUsage(cpu);
  const figure = { ms: Math.round(performance.now() - from), cpuMs: Math.round((user + system) / 1000) };
  // The value is for the caller, not for the print.
  return Object.defineProperty(figure, "value", { value, enumerable: false }) as typeof figure & { value: T };
}

function manyMachines(): InventoryModel {
  const model = defaultInventory();
  const [datacenter] = model.datacenters;
  const more = Array.from({ length: machines }, (_, index) => ({
    name: `machine-${index}`,
    cluster: "C0",
    datastore: "LocalDS_0",
    network: "VM Network",
  }));
  return { datacenters: [{ ...datacenter!, machines: [...(datacenter!.machines ?? []), ...more] }] };
}

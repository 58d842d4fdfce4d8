// A vCenter in memory for tests of the controllers: one Map of VMs behind the two ports, VmService and Hypervisor.
// The simulated vCenter with SOAP and inventory is another folder; this one has no wire, no tasks, no sessions.
import { randomUUID } from "node:crypto";
import { Fault } from "#core";
import type { Hypervisor, PoweredVm } from "../workload/hypervisor.ts";
import type { VcenterLogin, Vm, VmService } from "./vm-service.ts";

export interface FakeVcenter extends Hypervisor {
  readonly login: VcenterLogin;
  /** The VMs there are, templates not among them. */
  readonly vms: ReadonlyMap<string, Vm>;
  /** How many clones were made since the start. */
  readonly clones: number;
  /** Thrown by the next calls of this name until set to undefined. */
  refuse(call: keyof VmService | "login", fault: Fault | undefined): void;
}

export interface FakeVcenterOptions {
  readonly username: string;
  readonly password: string;
  readonly templates: readonly string[];
  readonly hosts?: readonly string[];
}

export function fakeVcenter(options: FakeVcenterOptions): FakeVcenter {
  const vms = new Map<string, Vm>();
  const refusals = new Map<string, Fault>();
  const listeners = new Set<Parameters<Hypervisor["onPower"]>[0]>();
  const hosts = options.hosts ?? ["esx-1", "esx-2", "esx-3"];
  let serial = 50;
  let clones = 0;

  const check = (call: string) => {
    const fault = refusals.get(call);
    if (fault) throw fault;
  };
  const found = (ref: string): Vm => {
    const vm = vms.get(ref);
    if (!vm)
      throw new Fault(
        "NotFound",
        `The object ${ref} has already been deleted or has not been completely created`,
      );
    return vm;
  };
  const tell = (vm: Vm, state: "on" | "off" | "gone") => {
    for (const listener of listeners) listener(seen(vm), state);
  };
  const put = (vm: Vm, change: Partial<Vm>): Vm => {
    const next = { ...vm, ...change };
    vms.set(vm.ref, next);
    return next;
  };

  const service: VmService = {
    version: "8.0.3",
    async check() {
      check("check");
    },
    async findByBiosUuid(uuid) {
      check("findByBiosUuid");
      return [...vms.values()].find((vm) => vm.biosUuid === uuid);
    },
    async findByInstanceUuid(uuid) {
      check("findByInstanceUuid");
      return [...vms.values()].find((vm) => vm.instanceUuid === uuid);
    },
    async findByPath({ name }) {
      check("findByPath");
      return [...vms.values()].find((vm) => vm.name === name);
    },
    async clone(request) {
      check("clone");
      if (!options.templates.includes(request.template))
        throw new Fault(
          "NotFound",
          `unable to find template by name "${request.template}": vm '${request.template}' not found`,
        );
      if ([...vms.values()].some((vm) => vm.name === request.name))
        throw new Fault("AlreadyExists", `The name '${request.name}' already exists.`);
      clones++;
      const ref = `vm-${++serial}`;
      vms.set(ref, {
        ref,
        name: request.name,
        biosUuid: randomUUID(),
        instanceUuid: request.instanceUuid,
        powerState: "poweredOff",
        host: hosts[serial % hosts.length] ?? "esx-1",
        nics: request.networks.map(({ name, mac }, i) => ({
          mac: mac ?? `00:0c:29:00:${hex(serial)}:${hex(i)}`,
          network: name,
          connected: true,
          addresses: [],
        })),
        extraConfig: request.extraConfig,
      });
      return { ref, ...(request.linked ? { snapshot: "snapshot-53" } : {}) };
    },
    async reconfigureExtraConfig(ref, values) {
      check("reconfigureExtraConfig");
      const vm = found(ref);
      put(vm, { extraConfig: { ...vm.extraConfig, ...values } });
    },
    async powerOn(ref) {
      check("powerOn");
      tell(put(found(ref), { powerState: "poweredOn" }), "on");
    },
    async powerOff(ref) {
      check("powerOff");
      const vm = found(ref);
      const nics = vm.nics.map((nic) => ({ ...nic, addresses: [] }));
      tell(put(vm, { powerState: "poweredOff", nics }), "off");
    },
    async destroy(ref) {
      check("destroy");
      const vm = found(ref);
      if (vm.powerState === "poweredOn")
        throw new Fault(
          "Conflict",
          "The attempted operation cannot be performed in the current state (Powered on).",
        );
      vms.delete(ref);
      tell(vm, "gone");
    },
  };

  return {
    vms,
    get clones() {
      return clones;
    },
    refuse(call, fault) {
      if (fault) refusals.set(call, fault);
      else refusals.delete(call);
    },
    async login({ username, password }) {
      check("login");
      if (username !== options.username || password !== options.password)
        throw new Fault(
          "Unauthorized",
          "ServerFaultCode: Cannot complete login due to an incorrect user name or password.",
        );
      return service;
    },
    onPower(listener) {
      listeners.add(listener);
      for (const vm of vms.values()) if (vm.powerState === "poweredOn") listener(seen(vm), "on");
      return () => void listeners.delete(listener);
    },
    async setGuest(biosUuid, guest) {
      const vm = [...vms.values()].find((v) => v.biosUuid === biosUuid);
      if (!vm) return;
      put(vm, {
        nics: vm.nics.map((nic) => ({ ...nic, addresses: guest.addresses.get(nic.mac) ?? [] })),
      });
    },
  };
}

function seen(vm: Vm): PoweredVm {
  return {
    biosUuid: vm.biosUuid,
    name: vm.name,
    extraConfig: vm.extraConfig,
    macs: vm.nics.map((nic) => nic.mac),
  };
}

function hex(value: number): string {
  return (value % 256).toString(16).padStart(2, "0");
}

// The methods: what each does with the world on behalf of a session. Arguments and results are typed by the vim25 table.
import type { Ref } from "#vsphere";
import type { MethodName, ReturnsWrite } from "#vsphere/soap/types.ts";
import type { Call, Handler, Handlers, Inside } from "./call.ts";
import { gone, invalidArgument, notAuthenticated, SimFault } from "./fault.ts";
import * as machines from "./machines.ts";
import { lookupFor } from "./objects.ts";
import { searchHandlers } from "./search.ts";
import { select } from "./selection.ts";
import { content } from "./service.ts";
import { SimCollector } from "./sim-collector.ts";
import { userSession } from "./sim-sessions.ts";

/** Methods that need no login. */
export const openHandlers: Handlers<Call> = {
  RetrieveServiceContent: ({ world }) => content(world),
  Login(call, { userName, password }) {
    const { rights, sessions, knobs, client } = call;
    if (knobs.refuseLogins || !rights.accepts(userName, password))
      throw new SimFault("Cannot complete login due to an incorrect user name or password.", {
        $type: "InvalidLogin",
      });
    const session = sessions.open(userName, client);
    call.setCookie(session.key);
    return userSession(session);
  },
};

export const handlers: Handlers<Inside> = {
  CurrentTime: ({ clock }) => new Date(clock.now()).toISOString(),
  Logout: ({ sessions, session }) => void sessions.end(session.key),
  SessionIsActive: ({ sessions }, { sessionID }) => sessions.list().some((each) => each.key === sessionID),
  TerminateSession({ sessions, session }, { sessionId }) {
    for (const key of sessionId) {
      if (key === session.key) throw invalidArgument("sessionId");
      if (!sessions.end(key))
        throw new SimFault("The object or item referred to could not be found.", { $type: "NotFound" });
    }
  },

  FetchUserPrivilegeOnEntities: (call, { entities, userName }) =>
    entities.map((entity) => ({ entity, privileges: [...rightsOn(call, userName, entity)] })),
  HasPrivilegeOnEntities: (call, { entity, privId }) =>
    entity.map((each) => {
      const held = rightsOn(call, call.session.username, each);
      return {
        entity: each,
        privAvailability: privId.map((id) => ({ privId: id, isGranted: held.has(id) })),
      };
    }),
  RetrieveEntityPermissions: ({ session }, { entity }) => [
    { entity, principal: session.username, group: false, roleId: -1, propagate: true },
  ],

  RetrieveProperties: (call, { specSet }) => specSet.flatMap((spec) => select(spec, lookupFor(call))),
  RetrievePropertiesEx(call, { specSet, options }) {
    const all = specSet.flatMap((spec) => select(spec, lookupFor(call)));
    return all.length === 0 ? undefined : firstPage(call, all, options.maxObjects);
  },
  ContinueRetrievePropertiesEx(call, { token }) {
    const rest = call.session.pages.get(token);
    if (!rest) throw invalidArgument("token");
    call.session.pages.delete(token);
    return firstPage(call, rest, Number(token.split("/")[1]));
  },
  CancelRetrievePropertiesEx: ({ session }, { token }) => void session.pages.delete(token),
  CreatePropertyCollector({ world, session }) {
    const value = `session[${session.key}]${world.uuid()}`;
    session.collectors.set(value, new SimCollector());
    return { type: "PropertyCollector", value };
  },
  DestroyPropertyCollector(call) {
    collectorOf(call).destroy();
    call.session.collectors.delete(call.target.value);
  },
  CreateFilter(call, { spec }) {
    const collector = collectorOf(call);
    select(spec, lookupFor(call)); // a start that is gone is refused here
    const ref = { type: "PropertyFilter", value: `${call.target.value}#${call.world.uuid()}` };
    collector.addFilter(ref, spec);
    return ref;
  },
  DestroyPropertyFilter({ session, target }) {
    for (const collector of session.collectors.values()) if (collector.filters.delete(target.value)) return;
    throw gone(target);
  },
  WaitForUpdatesEx: (call, { version, options }) =>
    collectorOf(call).wait(version ?? "", options, waitDeps(call)),
  CheckForUpdates: (call, { version }) =>
    collectorOf(call).wait(version ?? "", { maxWaitSeconds: 0 }, waitDeps(call)),
  async WaitForUpdates(call, { version }) {
    const updates = await collectorOf(call).wait(version ?? "", undefined, waitDeps(call));
    return updates ?? { version: version ?? "", filterSet: [] };
  },
  CancelWaitForUpdates: (call) => collectorOf(call).cancel(),

  CreateContainerView({ world, session }, { container, type, recursive }) {
    if (!world.get(container.value)) throw gone(container);
    const value = `session[${session.key}]${world.uuid()}`;
    session.views.set(value, {
      type: "ContainerView",
      container: container.value,
      types: type,
      recursive,
      members: [],
    });
    return { type: "ContainerView", value };
  },
  CreateListView({ world, session }, { obj }) {
    const value = `session[${session.key}]${world.uuid()}`;
    session.views.set(value, {
      type: "ListView",
      container: "",
      types: [],
      recursive: false,
      members: [...obj],
    });
    return { type: "ListView", value };
  },
  DestroyView({ session, target }) {
    if (!session.views.delete(target.value)) throw gone(target);
  },

  ...searchHandlers,

  CloneVM_Task(call, args) {
    const { world, target } = call;
    const source = machines.machineAt(world, target);
    const pool = args.spec.location.pool;
    demand(
      call,
      source.template ? "VirtualMachine.Provisioning.DeployTemplate" : "VirtualMachine.Provisioning.Clone",
    );
    demand(call, "VirtualMachine.Inventory.CreateFromExisting", args.folder);
    if (pool) demand(call, "Resource.AssignVMToPool", pool);
    demand(
      call,
      "Datastore.AllocateSpace",
      args.spec.location.datastore ?? { type: "Datastore", value: source.datastore },
    );
    return start(call, "CloneVM_Task", () => {
      const machine = machines.clone(world, target, args);
      if (machine.power === "poweredOn") call.onPower(machine, "on");
      return machines.refOf(machine);
    });
  },
  ReconfigVM_Task(call, { spec }) {
    demand(call, "VirtualMachine.Config.Settings");
    if (spec.extraConfig.length > 0) demand(call, "VirtualMachine.Config.AdvancedConfig");
    return start(call, "ReconfigVM_Task", () => machines.reconfigure(call.world, call.target, spec));
  },
  PowerOnVM_Task(call) {
    demand(call, "VirtualMachine.Interact.PowerOn");
    return start(call, "PowerOnVM_Task", () => call.onPower(machines.powerOn(call.world, call.target), "on"));
  },
  PowerOffVM_Task(call) {
    demand(call, "VirtualMachine.Interact.PowerOff");
    return start(call, "PowerOffVM_Task", () =>
      call.onPower(machines.powerOff(call.world, call.target), "off"),
    );
  },
  ShutdownGuest(call) {
    demand(call, "VirtualMachine.Interact.PowerOff");
    const machine = machines.machineAt(call.world, call.target);
    if (!machine.guest.tools)
      throw new SimFault(
        "Cannot complete operation because VMware Tools is not running in this virtual machine.",
        {
          $type: "ToolsUnavailable",
        },
      );
    call.onPower(machines.powerOff(call.world, call.target), "off");
  },
  PowerOnMultiVM_Task: (call, { vm }) =>
    start(call, "PowerOnMultiVM_Task", () => {
      for (const ref of vm) {
        call.rights.demand(call.session.username, "VirtualMachine.Interact.PowerOn", ref);
        call.onPower(machines.powerOn(call.world, ref), "on");
      }
    }),
  MarkAsTemplate(call) {
    demand(call, "VirtualMachine.Provisioning.MarkAsTemplate");
    machines.markAsTemplate(call.world, call.target);
  },
  MarkAsVirtualMachine(call, { pool }) {
    demand(call, "VirtualMachine.Provisioning.MarkAsVM");
    machines.markAsMachine(call.world, call.target, pool);
  },
  CreateSnapshot_Task(call, { name, description = "" }) {
    demand(call, "VirtualMachine.State.CreateSnapshot");
    return start(call, "CreateSnapshot_Task", () =>
      machines.takeSnapshot(call.world, call.target, name, description),
    );
  },
  RemoveAllSnapshots_Task(call) {
    demand(call, "VirtualMachine.State.RemoveSnapshot");
    return start(call, "RemoveAllSnapshots_Task", () => machines.removeSnapshots(call.world, call.target));
  },
  UpgradeVM_Task(call, { version }) {
    demand(call, "VirtualMachine.Config.UpgradeVirtualHardware");
    return start(call, "UpgradeVM_Task", () => {
      machines.machineAt(call.world, call.target).version = version ?? "vmx-21";
      call.world.changed();
    });
  },
  Destroy_Task(call) {
    const { world, target } = call;
    if (target.type === "VirtualMachine") {
      demand(call, "VirtualMachine.Inventory.Delete");
      return start(call, "Destroy_Task", () => call.onPower(machines.destroy(world, target), "destroyed"));
    }
    if (target.type !== "Folder")
      throw new SimFault("The operation is not supported on the object.", { $type: "NotSupported" });
    demand(call, "Folder.Delete");
    return start(call, "Destroy_Task", () => {
      if (world.children(target.value).length > 0)
        throw new SimFault("The folder is not empty.", { $type: "InvalidFolder", target });
      world.remove(target.value);
      world.changed();
    });
  },
  Rename_Task: (call, { newName }) =>
    start(call, "Rename_Task", () => {
      const entity = call.world.get(call.target.value);
      if (!entity) throw gone(call.target);
      entity.name = newName;
      call.world.changed();
    }),
  CreateFolder(call, { name }) {
    const { world, target } = call;
    demand(call, "Folder.Create");
    const parent = world.as(target.value, "Folder");
    if (!parent) throw gone(target);
    const taken = world.children(parent.id).find((child) => child.name === name);
    if (taken)
      throw new SimFault(`The name '${name}' already exists.`, {
        $type: "DuplicateName",
        name,
        object: machines.refOf(taken),
      });
    const { childType } = parent;
    const folder = world.add({
      type: "Folder",
      id: world.nextId("group"),
      name,
      parent: parent.id,
      childType,
    });
    world.changed();
    return machines.refOf(folder);
  },
  MoveIntoFolder_Task: (call, { list }) =>
    start(call, "MoveIntoFolder_Task", () => {
      for (const ref of list) {
        const entity = call.world.get(ref.value);
        if (!entity) throw gone(ref);
        call.world.move(entity, call.target.value);
      }
      call.world.changed();
    }),
};

function demand(call: Inside, privilege: string, on: Ref = call.target): void {
  if (!call.world.get(on.value)) throw gone(on);
  call.rights.demand(call.session.username, privilege, on);
}

function start(call: Inside, method: string, effect: () => unknown): Ref {
  const entity = call.world.get(call.target.value);
  if (!entity) throw gone(call.target);
  const { target, session } = call;
  return call.tasks.start({
    method,
    entity: target,
    entityName: entity.name,
    userName: session.username,
    effect,
  });
}

function rightsOn(call: Inside, userName: string, entity: Ref): ReadonlySet<string> {
  if (!call.world.get(entity.value)) throw gone(entity);
  if (!call.rights.sees(call.session.username, entity.value))
    throw new SimFault("Permission to perform this operation was denied.", {
      $type: "NoPermission",
      object: entity,
      privilegeId: "System.View",
    });
  if (!call.rights.knows(userName)) throw invalidArgument("userName");
  return call.rights.on(userName, entity.value);
}

function collectorOf({ session, target }: Inside): SimCollector {
  const collector = session.collectors.get(target.value);
  if (!collector) throw gone(target);
  return collector;
}

function waitDeps(call: Inside) {
  const { clock, signal, world } = call;
  return {
    clock,
    signal,
    lookup: lookupFor(call),
    onChange: (listener: () => void) => world.onStir(listener),
  };
}

/** One page, and a token for the rest. The token carries the size of a page after its "/". */
function firstPage(
  { world, session }: Inside,
  all: readonly ReturnsWrite<"RetrieveProperties">[number][],
  maxObjects: number | undefined,
): ReturnsWrite<"ContinueRetrievePropertiesEx"> {
  if (!maxObjects || all.length <= maxObjects) return { objects: all };
  const token = `${world.uuid()}/${maxObjects}`;
  session.pages.set(token, all.slice(maxObjects));
  return { token, objects: all.slice(0, maxObjects) };
}

/** Runs a method. Throws SimFault. */
export async function dispatch(
  call: Call,
  method: string,
  args: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const open = (openHandlers as Readonly<Record<string, Handler<MethodName, Call> | undefined>>)[method];
  if (open) return open(call, args as never);
  const { session } = call;
  if (!session) throw notAuthenticated();
  const inside = { ...call, session };
  const handler = (handlers as Readonly<Record<string, Handler<MethodName, Inside> | undefined>>)[method];
  if (!handler)
    throw new SimFault(`${call.target.type} has no method ${method} here`, {
      $type: "MethodNotFound",
      receiver: call.target,
      method,
    });
  return handler(inside, args as never);
}

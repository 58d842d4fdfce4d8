// Every object that has properties, by reference: entities of the world, tasks, managers, and what the session itself made.
import type { Ref } from "#vsphere";
import { isA } from "#vsphere/soap/table.ts";
import type { Inside } from "./call.ts";
import { machineProperties } from "./machine-properties.ts";
import { refOf } from "./machines.ts";
import { bagOf, entityBag, type PropertyBag } from "./properties.ts";
import { allPrivileges } from "./rights.ts";
import type { Lookup } from "./selection.ts";
import { content } from "./service.ts";
import { userSession, type SimView } from "./sim-sessions.ts";
import { taskInfo } from "./sim-tasks.ts";

/** What this session sees. */
export function lookupFor(call: Inside): Lookup {
  const { world, rights, session, tasks } = call;
  return (ref) => {
    const entity = world.get(ref.value);
    if (entity) return rights.sees(session.username, entity.id) ? entityBag(world, ref) : "hidden";
    if (ref.type === "Task") {
      const task = tasks.get(ref.value);
      return task && bagOf("Task", { info: () => taskInfo(task) });
    }
    const view = session.views.get(ref.value);
    if (view) return viewBag(call, view);
    if (session.collectors.has(ref.value))
      return bagOf("PropertyCollector", { filter: () => filterRefs(call, ref) });
    return ref.type === "VirtualMachineSnapshot" ? snapshotBag(call, ref) : managerBag(call, ref);
  };
}

function filterRefs({ session }: Inside, ref: Ref): Ref[] {
  return [...(session.collectors.get(ref.value)?.filters.values() ?? [])].map((filter) => filter.ref);
}

function viewBag(call: Inside, view: SimView): PropertyBag {
  const { world } = call;
  if (view.type === "ListView") return bagOf("ListView", { view: () => view.members });
  const container = world.get(view.container);
  return bagOf("ContainerView", {
    container: () => container && refOf(container),
    type: () => view.types,
    recursive: () => view.recursive,
    view: () => members(call, view),
  });
}

function members({ world, rights, session }: Inside, view: SimView): Ref[] {
  const within = view.recursive ? world.below(view.container) : world.children(view.container);
  return within
    .filter((entity) => view.types.length === 0 || view.types.some((type) => isA(entity.type, type)))
    .filter((entity) => rights.sees(session.username, entity.id))
    .map(refOf);
}

function snapshotBag({ world }: Inside, ref: Ref): PropertyBag | undefined {
  const machine = world
    .all("VirtualMachine")
    .find((each) => each.snapshots.some(({ id }) => id === ref.value));
  if (!machine) return undefined;
  return bagOf("VirtualMachineSnapshot", {
    config: () => machineProperties(world, machine).config?.(),
    childSnapshot: () => [],
  });
}

function managerBag(call: Inside, ref: Ref): PropertyBag | undefined {
  const { world, sessions, session, clock } = call;
  switch (ref.type) {
    case "ServiceInstance":
      return bagOf("ServiceInstance", {
        content: () => content(world),
        serverClock: () => new Date(clock.now()).toISOString(),
      });
    case "SessionManager":
      return bagOf("SessionManager", {
        sessionList: () => sessions.list().map(userSession),
        currentSession: () => userSession(session),
        defaultLocale: () => "en",
      });
    case "AuthorizationManager":
      return bagOf("AuthorizationManager", {
        privilegeList: () =>
          allPrivileges.map((privId) => ({
            privId,
            onParent: false,
            name: privId.split(".").at(-1) ?? privId,
            privGroupName: privId.split(".").slice(0, -1).join("."),
          })),
        roleList: () => [
          {
            roleId: -1,
            system: true,
            name: "Admin",
            info: { label: "Administrator", summary: "Full access rights" },
            privilege: [...allPrivileges],
          },
        ],
      });
    case "TaskManager":
      return bagOf("TaskManager", { recentTask: () => [], maxCollector: () => 32 });
    case "ViewManager":
      return bagOf("ViewManager", { viewList: () => [] });
    default:
      return undefined;
  }
}

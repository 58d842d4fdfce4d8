// The client of one vCenter: methods by subject over one shared session.
import type { Session } from "./session.ts";
import { inventoryOf, type Inventory } from "./inventory.ts";
import { missingPrivileges, type PrivilegeGap, type PrivilegeTarget } from "./privileges.ts";
import type { Rest } from "./rest.ts";
import { tasksOf, type Tasks } from "./tasks.ts";
import { vmsOf, type Vms } from "./vms.ts";

export interface About {
  readonly fullName: string;
  readonly version: string;
  readonly build: string;
  readonly apiVersion: string;
  /** Stays the same over restarts and renames of the server. */
  readonly instanceUuid: string | undefined;
}

export interface VsphereClient {
  readonly server: string;
  readonly username: string;
  readonly inventory: Inventory;
  readonly vms: Vms;
  readonly tasks: Tasks;
  readonly rest: Rest;
  /** For what the groups above lack: any method of the table. */
  readonly session: Session;
  /** What the server is. Needs no login. */
  about(signal?: AbortSignal): Promise<About>;
  /** Sees that the account can log in. Unauthorized when vCenter refuses; a refused password is not sent again for a while. */
  checkLogin(signal?: AbortSignal): Promise<void>;
  /** The privileges this account lacks on each target; empty when nothing is missing. */
  privileges(targets: readonly PrivilegeTarget[], signal?: AbortSignal): Promise<readonly PrivilegeGap[]>;
  /** Gives the session back; the last one to do so ends it after a while. Twice is once. Do not use the client afterwards. */
  close(): Promise<void>;
}

export interface ClientParts {
  readonly session: Session;
  readonly rest: Rest;
  readonly close: () => Promise<void>;
}

export function vsphereClient({ session, rest, close }: ClientParts): VsphereClient {
  return {
    server: session.server,
    username: session.username,
    session,
    inventory: inventoryOf(session),
    vms: vmsOf(session),
    tasks: tasksOf(session),
    rest,
    async about(signal) {
      const { about } = await session.content(signal);
      const { fullName, version, build, apiVersion, instanceUuid } = about;
      return { fullName, version, build, apiVersion, instanceUuid };
    },
    checkLogin: (signal) => session.check(signal),
    privileges: (targets, signal) => missingPrivileges(session, targets, signal),
    close,
  };
}

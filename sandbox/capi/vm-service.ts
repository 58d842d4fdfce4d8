// The port: what CAPV's controllers need of a vCenter. An adapter over our vim25 client fits it (vcenter-vms.ts); so does the
// in-memory fake of the tests (fake-vms.ts).

export interface VmNic {
  readonly mac: string;
  readonly network: string;
  readonly connected: boolean;
  /** As VMware Tools reports them; empty while nothing runs. */
  readonly addresses: readonly string[];
}

export interface Vm {
  /** Managed object id, "vm-56". */
  readonly ref: string;
  readonly name: string;
  readonly biosUuid: string;
  readonly instanceUuid: string;
  readonly powerState: "poweredOn" | "poweredOff" | "suspended";
  /** The ESXi host's name. */
  readonly host?: string;
  readonly nics: readonly VmNic[];
  readonly extraConfig: Readonly<Record<string, string>>;
}

export interface CloneRequest {
  readonly name: string;
  /** Becomes the VM's instance UUID: how a clone is found again when its answer was lost. */
  readonly instanceUuid: string;
  readonly template: string;
  readonly datacenter?: string;
  readonly folder?: string;
  readonly resourcePool?: string;
  readonly datastore?: string;
  readonly storagePolicy?: string;
  readonly networks: readonly { readonly name: string; readonly mac?: string }[];
  readonly numCPUs: number;
  readonly memoryMiB: number;
  readonly diskGiB?: number;
  readonly linked: boolean;
  readonly extraConfig: Readonly<Record<string, string>>;
}

/** One authenticated connection to a vCenter. Everything throws Faults with vCenter's own words. */
export interface VmService {
  /** "8.0.3". */
  readonly version: string;
  /** Resolves if the session still works; else Unauthorized or Unavailable. */
  check(signal: AbortSignal): Promise<void>;
  findByBiosUuid(uuid: string, signal: AbortSignal): Promise<Vm | undefined>;
  findByInstanceUuid(uuid: string, signal: AbortSignal): Promise<Vm | undefined>;
  /** By folder and name. */
  findByPath(
    at: { readonly datacenter?: string; readonly folder?: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<Vm | undefined>;
  /** Clones, powered off; resolves when the task is done. `snapshot` is set for a linked clone. */
  clone(
    request: CloneRequest,
    signal: AbortSignal,
  ): Promise<{ readonly ref: string; readonly snapshot?: string }>;
  reconfigureExtraConfig(
    ref: string,
    values: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<void>;
  powerOn(ref: string, signal: AbortSignal): Promise<void>;
  powerOff(ref: string, signal: AbortSignal): Promise<void>;
  destroy(ref: string, signal: AbortSignal): Promise<void>;
}

/** How a controller comes to a VmService: logs in, or gives the session it has for the same credential. */
export type VcenterLogin = (
  credential: { readonly username: string; readonly password: string },
  server: string,
  thumbprint: string | undefined,
  signal: AbortSignal,
) => Promise<VmService>;

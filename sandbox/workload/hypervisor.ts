// The port: what the stand-in for machines needs of a simulated vCenter, beside what any client of vCenter can do.

export interface PoweredVm {
  readonly biosUuid: string;
  readonly name: string;
  /** guestinfo.* and whatever else was configured. */
  readonly extraConfig: Readonly<Record<string, string>>;
  /** In the order of the devices. */
  readonly macs: readonly string[];
}

export interface Hypervisor {
  /**
   * Calls back at once for every VM that is powered on, then whenever one is powered on or off, or destroyed.
   * Returns the way to stop.
   */
  onPower(listener: (vm: PoweredVm, state: "on" | "off" | "gone") => void): () => void;
  /** What VMware Tools reports from inside: the host name, and addresses by MAC. A VM that is gone is ignored. */
  setGuest(
    biosUuid: string,
    guest: { readonly hostName: string; readonly addresses: ReadonlyMap<string, readonly string[]> },
  ): Promise<void>;
}

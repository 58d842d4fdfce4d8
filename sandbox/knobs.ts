// Knobs of the simulated datacenter. One object, read at each use: a test may turn them while things run.

export interface Knobs {
  /** How long controllers wait before they look again at what no watch tells them (a guest's address, a Node), milliseconds. */
  pollMs: number;
  /** How often running things are looked at (vCenter's answer, a Node's health), milliseconds. */
  healthMs: number;
  /** Wait before every round of a controller, milliseconds. */
  controllerMs: number;
  /** From power-on until VMware Tools reports an address, milliseconds. */
  bootMs: number;
  /** From the address until the Node registers, milliseconds. */
  joinMs: number;
  /** True for VMs that never boot: powered on, and no address ever. */
  neverBoots: (vmName: string) => boolean;
  /** How much longer than `bootMs` a machine takes to boot, milliseconds. */
  lateMs: (vmName: string) => number;
  /** True for machines that boot without a network: VMware Tools report a host name and no address, and kubeadm reaches nobody. */
  noAddress: (vmName: string) => boolean;
  /** The host name of a machine that does not take the one it was told; undefined for all others. */
  wrongHostname: (vmName: string) => string | undefined;
  /** True for machines whose kubelet never registers. */
  neverJoins: (vmName: string) => boolean;
  /** True for machines whose kubelet has fallen silent while the machine stays on; looked at every `healthMs`. */
  nodeLost: (vmName: string) => boolean;
  /** Nodes come without pressure conditions and without the control-plane taint, as in the recorded golden run. */
  bareNodes: boolean;
}

/** Quick and well-behaved, with the given differences. */
export function knobs(differences: Partial<Knobs> = {}): Knobs {
  return {
    pollMs: 20,
    healthMs: 2_000,
    controllerMs: 0,
    bootMs: 20,
    joinMs: 20,
    neverBoots: () => false,
    lateMs: () => 0,
    noAddress: () => false,
    wrongHostname: () => undefined,
    neverJoins: () => false,
    nodeLost: () => false,
    bareNodes: false,
    ...differences,
  };
}

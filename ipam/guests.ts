/** A VM with the addresses that its guest reports to vCenter. */
export interface GuestAddress {
  readonly vm: string;
  readonly addresses: readonly string[];
}

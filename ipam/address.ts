// IP addresses as numbers: exact for both families, compared and counted as BigInt.
import { isIPv4, isIPv6 } from "node:net";
import ipaddr from "ipaddr.js";

export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

export function bitsOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

/**
 * Reads an address as Go's netip does: no leading zeros in IPv4, a zone is dropped (as upstream's pools do), an IPv4-mapped
 * address counts as IPv6. Undefined where it is none. Pure.
 */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) {
    let value = 0n;
    for (const part of text.split(".")) value = (value << 8n) | BigInt(part);
    return { family: 4, value };
  }
  const bare = text.replace(/%.+$/, "");
  if (!isIPv6(bare)) return undefined;
  let value = 0n;
  for (const byte of ipaddr.IPv6.parse(bare).toByteArray()) value = (value << 8n) | BigInt(byte);
  return { family: 6, value };
}

/** The canonical text: dotted quads, or RFC 5952 (an IPv4-mapped address with dotted quads at its end). Pure. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return dotted(value);
  if (value >> 32n === 0xffffn) return `::ffff:${dotted(value & 0xffff_ffffn)}`;
  const bytes: number[] = [];
  for (let shift = 120n; shift >= 0n; shift -= 8n) bytes.push(Number((value >> shift) & 0xffn));
  return new ipaddr.IPv6(bytes).toRFC5952String();
}

function dotted(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join(".");
}

// JSON with 64-bit integers as Kubernetes writes them.
//
// The counters of a pool saturate at the largest int64. A double cannot hold that number, JSON.stringify prints the nearest double as
// 9223372036854776000, and a Go client refuses to decode it. So: that double is written as the edge of int64, and a bigint as its
// digits. Reading is JSON.parse: 9223372036854775807 becomes 2^63, which is written back exactly.

/** The largest int64, 9223372036854775807, as the nearest double: what a saturated counter is in memory. */
export const maxInt64 = 2 ** 63;

const edge = "9223372036854775807";
const printed = "9223372036854776000";
const mark = "\u0000int:";
const marked = /"\\u0000int:(-?\d+)"/g;

/** JSON text with exact 64-bit integers; undefined members are left out. Throws on cycles. */
export function toJson(value: unknown, indent?: number): string {
  const plain = quick(value, indent);
  if (plain !== undefined && !plain.includes(printed)) return plain;
  return JSON.stringify(value, exact, indent).replace(marked, "$1");
}

/** The text as the platform writes it, or undefined when there is a bigint in the value. */
function quick(value: unknown, indent?: number): string | undefined {
  try {
    return JSON.stringify(value, undefined, indent);
  } catch (error) {
    if (error instanceof TypeError && error.message.includes("BigInt")) return undefined;
    throw error;
  }
}

function exact(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return mark + value.toString();
  if (value === maxInt64) return mark + edge;
  return value === -maxInt64 ? `${mark}-9223372036854775808` : value;
}

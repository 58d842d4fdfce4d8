/**
 * A number from 0 to `below` - 1, each equally likely, however large `below` is: draws of 32 bits, and what falls past the end is
 * thrown away rather than folded back. `random` is in [0, 1).
 */
export function randomBelow(below: bigint, random: () => number): bigint {
  if (below <= 1n) return 0n;
  const bits = (below - 1n).toString(2).length;
  for (let tries = 0; tries < 1_000; tries++) {
    let drawn = 0n;
    for (let left = bits; left > 0; left -= 32) {
      const take = Math.min(left, 32);
      drawn = (drawn << BigInt(take)) | BigInt(Math.floor(random() * 2 ** take));
    }
    if (drawn < below) return drawn;
  }
  return 0n; // a broken source of chance: any answer is as good
}

// Which addresses of a pool are free: a balanced tree of free intervals. Every operation takes O(log n) in the number of holes;
// a range costs that, and the holes it swallows.
//
//   F1. Free addresses are always a subset of the universe; free + taken = universe.
//   F2. Intervals in the tree neither overlap nor touch, so that the tree is as small as the pool is little fragmented.
//   F3. The tree is a treap: ordered by address, heap-ordered by pseudo-random weights from a fixed seed, hence O(log n) expected
//       whatever the order of operations, and the same for the same operations.
//   F4. Each node knows how many addresses lie below it, so that the n-th free address is found like any other.
import { find, subtract, type Interval, type IntervalSet } from "./intervals.ts";

interface Node {
  low: bigint;
  high: bigint;
  /** Addresses in this interval and in those below it (F4). */
  size: bigint;
  readonly weight: number;
  left: Node | undefined;
  right: Node | undefined;
}

export class FreeIndex {
  readonly #universe: IntervalSet;
  #root: Node | undefined;
  #seed = 0x9e3779b9;

  /** All of the universe is free at first, but for what is taken. */
  constructor(universe: IntervalSet, taken: IntervalSet = []) {
    this.#universe = universe;
    for (const { low, high } of subtract(universe, taken)) this.#insert(low, high);
  }

  /** How many addresses are free. */
  get free(): bigint {
    return sizeOf(this.#root);
  }

  /** The lowest free address; undefined when all are taken. */
  lowest(): bigint | undefined {
    let node = this.#root;
    while (node?.left) node = node.left;
    return node?.low;
  }

  /** The lowest free address that is not below `from`; undefined when there is none. */
  lowestFrom(from: bigint): bigint | undefined {
    const holding = this.#atOrBefore(from);
    if (holding && from <= holding.high) return from;
    let best: Node | undefined;
    let node = this.#root;
    while (node) {
      if (node.low > from) {
        best = node;
        node = node.left;
      } else node = node.right;
    }
    return best?.low;
  }

  /** The free address that has exactly `rank` free ones below it; undefined when there are not so many. */
  nth(rank: bigint): bigint | undefined {
    let node = this.#root;
    let left = rank;
    while (node && left >= 0n) {
      const below = sizeOf(node.left);
      const own = node.high - node.low + 1n;
      if (left < below) node = node.left;
      else if (left < below + own) return node.low + (left - below);
      else {
        left -= below + own;
        node = node.right;
      }
    }
    return undefined;
  }

  /** Takes the lowest free address; undefined when all are taken. */
  take(): bigint | undefined {
    const lowest = this.lowest();
    if (lowest !== undefined) this.reserve(lowest);
    return lowest;
  }

  isFree(address: bigint): boolean {
    const node = this.#atOrBefore(address);
    return node !== undefined && address <= node.high;
  }

  /** Takes this address. False, and nothing happens, when it is not free. */
  reserve(address: bigint): boolean {
    const node = this.#atOrBefore(address);
    if (!node || address > node.high) return false;
    const { low, high } = node;
    if (low === high) this.#remove(low);
    else if (address === high) this.#resize(low, low, high - 1n);
    else if (address === low)
      this.#resize(low, low + 1n, high); // the order of the tree stays: no other interval starts in between
    else {
      this.#resize(low, low, address - 1n);
      this.#insert(address + 1n, high);
    }
    return true;
  }

  /** Takes all that is free from `low` to `high`, and says how many those were. */
  reserveRange(low: bigint, high: bigint): bigint {
    if (high < low) return 0n;
    const before = this.#atOrBefore(low);
    if (before && before.low < low && before.high >= low) {
      const end = before.high;
      this.#resize(before.low, before.low, low - 1n);
      this.#insert(low, end);
    }
    const last = this.#atOrBefore(high);
    if (last && last.high > high && last.low <= high) {
      const end = last.high;
      this.#resize(last.low, last.low, high);
      this.#insert(high + 1n, end);
    }
    const [left, rest] = split(this.#root, low);
    const [taken, right] = split(rest, high + 1n);
    this.#root = merge(left, right);
    return sizeOf(taken);
  }

  /** Gives an address back. False, and nothing happens, when it is free already or was never the pool's (F1). */
  release(address: bigint): boolean {
    if (!find(this.#universe, address)) return false;
    const before = this.#atOrBefore(address);
    if (before && address <= before.high) return false;
    const after = this.#startingAt(address + 1n);
    const joinsBefore = before !== undefined && before.high + 1n === address;
    if (joinsBefore && after) {
      const { high } = after; // F2
      this.#remove(after.low);
      this.#resize(before.low, before.low, high);
    } else if (joinsBefore) this.#resize(before.low, before.low, address);
    else if (after) this.#resize(after.low, address, after.high);
    else this.#insert(address, address);
    return true;
  }

  /** The free intervals in order. */
  *intervals(): Generator<Interval> {
    const path: Node[] = [];
    let node = this.#root;
    while (node || path.length > 0) {
      while (node) {
        path.push(node);
        node = node.left;
      }
      const top = path.pop() as Node;
      yield { low: top.low, high: top.high };
      node = top.right;
    }
  }

  /** The interval that starts at the address or next before it. */
  #atOrBefore(address: bigint): Node | undefined {
    let best: Node | undefined;
    let node = this.#root;
    while (node) {
      if (node.low <= address) {
        best = node;
        node = node.right;
      } else node = node.left;
    }
    return best;
  }

  #startingAt(low: bigint): Node | undefined {
    let node = this.#root;
    while (node && node.low !== low) node = low < node.low ? node.left : node.right;
    return node;
  }

  /** Gives the interval that starts at `at` new ends, between which no other begins. */
  #resize(at: bigint, low: bigint, high: bigint): void {
    const target = this.#startingAt(at) as Node;
    const more = high - low - (target.high - target.low);
    for (let node = this.#root; node; node = at < node.low ? node.left : node.right) {
      node.size += more;
      if (node === target) break;
    }
    target.low = low;
    target.high = high;
  }

  #insert(low: bigint, high: bigint): void {
    const size = high - low + 1n;
    const node: Node = { low, high, size, weight: this.#random(), left: undefined, right: undefined };
    const [left, right] = split(this.#root, low);
    this.#root = merge(merge(left, node), right);
  }

  #remove(low: bigint): void {
    const [left, rest] = split(this.#root, low);
    const [, right] = split(rest, low + 1n);
    this.#root = merge(left, right);
  }

  /** xorshift32: weights only need to look unrelated to addresses. */
  #random(): number {
    let x = this.#seed;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (this.#seed = x >>> 0);
  }
}

function sizeOf(node: Node | undefined): bigint {
  return node ? node.size : 0n;
}

function counted(node: Node): Node {
  node.size = node.high - node.low + 1n + sizeOf(node.left) + sizeOf(node.right);
  return node;
}

/** Those that start before `low`, and the others. */
function split(node: Node | undefined, low: bigint): [Node | undefined, Node | undefined] {
  if (!node) return [undefined, undefined];
  if (node.low < low) {
    const [left, right] = split(node.right, low);
    node.right = left;
    return [counted(node), right];
  }
  const [left, right] = split(node.left, low);
  node.left = right;
  return [left, counted(node)];
}

/** Joins two trees of which all of `left` lies before all of `right`. */
function merge(left: Node | undefined, right: Node | undefined): Node | undefined {
  if (!left) return right;
  if (!right) return left;
  if (left.weight > right.weight) {
    left.right = merge(left.right, right);
    return counted(left);
  }
  right.left = merge(left, right.left);
  return counted(right);
}

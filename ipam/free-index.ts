// Which addresses of a pool are free: a balanced tree of free intervals. Every operation takes O(log n) in the number of holes.
//
//   F1. Free addresses are always a subset of the universe; free + taken = universe.
//   F2. Intervals in the tree neither overlap nor touch, so that the tree is as small as the pool is little fragmented.
//   F3. The tree is a treap: ordered by address, heap-ordered by pseudo-random weights from a fixed seed, hence O(log n) expected
//       whatever the order of operations, and the same for the same operations.
import { find, type Interval, type IntervalSet } from "./intervals.ts";

interface Node {
  low: bigint;
  high: bigint;
  readonly weight: number;
  left: Node | undefined;
  right: Node | undefined;
}

export class FreeIndex {
  readonly #universe: IntervalSet;
  #root: Node | undefined;
  #free = 0n;
  #seed = 0x9e3779b9;

  /** All of the universe is free at first. */
  constructor(universe: IntervalSet) {
    this.#universe = universe;
    for (const { low, high } of universe) {
      this.#insert(low, high);
      this.#free += high - low + 1n;
    }
  }

  /** How many addresses are free. */
  get free(): bigint {
    return this.#free;
  }

  /** The lowest free address; undefined when all are taken. */
  lowest(): bigint | undefined {
    let node = this.#root;
    while (node?.left) node = node.left;
    return node?.low;
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
    else if (address === high) node.high = high - 1n;
    else if (address === low)
      node.low = low + 1n; // the order of the tree stays: no other interval starts in between
    else {
      node.high = address - 1n;
      this.#insert(address + 1n, high);
    }
    this.#free -= 1n;
    return true;
  }

  /** Gives an address back. False, and nothing happens, when it is free already or was never the pool's (F1). */
  release(address: bigint): boolean {
    if (!find(this.#universe, address)) return false;
    const before = this.#atOrBefore(address);
    if (before && address <= before.high) return false;
    const after = this.#startingAt(address + 1n);
    const joinsBefore = before !== undefined && before.high + 1n === address;
    if (joinsBefore && after) {
      before.high = after.high; // F2
      this.#remove(after.low);
    } else if (joinsBefore) before.high = address;
    else if (after) after.low = address;
    else this.#insert(address, address);
    this.#free += 1n;
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

  #insert(low: bigint, high: bigint): void {
    const node: Node = { low, high, weight: this.#random(), left: undefined, right: undefined };
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

/** Those that start before `low`, and the others. */
function split(node: Node | undefined, low: bigint): [Node | undefined, Node | undefined] {
  if (!node) return [undefined, undefined];
  if (node.low < low) {
    const [left, right] = split(node.right, low);
    node.right = left;
    return [node, right];
  }
  const [left, right] = split(node.left, low);
  node.left = right;
  return [left, node];
}

/** Joins two trees of which all of `left` lies before all of `right`. */
function merge(left: Node | undefined, right: Node | undefined): Node | undefined {
  if (!left) return right;
  if (!right) return left;
  if (left.weight > right.weight) {
    left.right = merge(left.right, right);
    return left;
  }
  right.left = merge(left, right.left);
  return right;
}

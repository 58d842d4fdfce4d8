import { expect, test } from "vitest";
import type { AddressNeed } from "#proto/render/addresses.ts";
import { wish } from "../testing/world.ts";
import { roomProblems, specProblems } from "./problems.ts";
import type { NeedSeen } from "./seen.ts";

const need: AddressNeed = {
  parent: { kind: "InClusterIPPool", namespace: "default", name: "nodes" },
  child: "c1",
  count: 7,
  nodes: 4,
  vip: true,
  field: "placement.ipPoolRef",
};

/** Of seven leases so many are claimed. */
function told(room: NeedSeen["room"], claimed = 0): string[] {
  const leases = Array.from({ length: need.count }, (_, at) => ({
    at: { namespace: "default", name: `lease-${at}` },
    claim: at < claimed ? ({} as NeedSeen["leases"][number]["claim"]) : undefined,
    address: undefined,
  }));
  return roomProblems([{ need, room, leases }]).map(({ field, message }) => `${field}: ${message}`);
}

const table: [string, NeedSeen["room"], number, string[]][] = [
  ["enough", { total: 10, free: 7 }, 0, []],
  ["enough for what is not claimed yet", { total: 10, free: 2 }, 5, []],
  [
    "too little",
    { total: 10, free: 6 },
    0,
    [
      'placement.ipPoolRef: pool "default/nodes" has 6 free of 10 addresses, 7 are needed (4 nodes + 3 spare); add addresses to the pool or make the cluster smaller',
    ],
  ],
  [
    "enough that is free, but not to be had",
    { total: 10, free: 6, kept: 4 },
    0,
    [
      'placement.ipPoolRef: pool "default/nodes" has 6 free of 10 addresses (4 more are reserved, set aside or drained), 7 are needed (4 nodes + 3 spare); add addresses to the pool or make the cluster smaller',
    ],
  ],
  [
    "too little until some have rested",
    { total: 10, free: 5, resting: 3, later: [60_000, 120_000, 180_000] },
    0,
    [
      'placement.ipPoolRef: pool "default/nodes" has 5 free of 10 addresses (3 rest after use), 7 are needed (4 nodes + 3 spare); wait until 1970-01-01T00:02:00Z, when enough have rested, or add addresses to the pool or make the cluster smaller',
    ],
  ],
  [
    "too little even when those have rested",
    { total: 10, free: 5, kept: 4, resting: 1, later: [60_000] },
    0,
    [
      'placement.ipPoolRef: pool "default/nodes" has 5 free of 10 addresses (4 more are reserved, set aside or drained, 1 rest after use), 7 are needed (4 nodes + 3 spare); add addresses to the pool or make the cluster smaller',
    ],
  ],
  [
    "no pool",
    undefined,
    0,
    ['placement.ipPoolRef: there is no InClusterIPPool "default/nodes"; create it, or name another'],
  ],
];

test.each(table)("%s", (_name, room, claimed, want) => expect(told(room, claimed)).toEqual(want));

test("bounds of an autoscaler that do not fit are told by their field", () => {
  const spec = wish({ workerPools: [{ name: "a", size: 7, minSize: 1, maxSize: 5 }] });
  expect(specProblems(spec)).toEqual([
    { field: "workerPools[0].size", message: "7 is not between minSize, 1, and maxSize, 5" },
  ]);
  expect(specProblems(wish({ workerPools: [{ name: "a", size: 3, minSize: 1, maxSize: 5 }] }))).toEqual([]);
});

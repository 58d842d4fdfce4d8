import { expect, it } from "vitest";
import { diagnose } from "./diagnose.ts";

const table: readonly [string, string, string[], string | undefined][] = [
  [
    "etcd on a full disk",
    "status 1",
    [
      'failed to create WAL {"error":"write /data/etcd/member/wal.tmp/0.tmp: no space left on device"}',
      "discovery failed",
    ],
    "disk-full",
  ],
  [
    "a port that is taken",
    "status 1",
    [
      "failed to create listener: failed to listen on 127.0.0.1:20000: listen tcp 127.0.0.1:20000: bind: address already in use",
    ],
    "port-taken",
  ],
  ["a program for another machine", "status 126", ["exec format error"], "not-executable"],
  ["a file of somebody else", "status 1", ["open /data/pki/ca.key: permission denied"], "permission"],
  [
    "a damaged log of etcd",
    "SIGABRT",
    ['failed to read WAL, cannot be repaired {"error":"walpb: crc mismatch"}'],
    "damaged-data",
  ],
  ["a database that was cut short", "status 2", ["fatal error: fault"], "damaged-data"],
  ["killed from outside", "SIGKILL", ["leader changed"], "memory"],
  ["something unheard of", "status 3", ["bye"], undefined],
];

it.each(table)("%s", (_name, end, lines, expected) => {
  const found = diagnose("/data", end, lines);
  expect(found?.name).toBe(expected);
  if (found) expect(found.advice.length).toBeGreaterThan(20);
});

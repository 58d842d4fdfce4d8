// The bytes are made here by hand, after protobuf.dev "Encoding"; test/peers/kubectl.test.ts has real ones sent by kubectl.
import { describe, expect, it } from "vitest";
import { readProtobuf } from "./protobuf.ts";

const varint = (value: bigint | number): number[] => {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, BigInt(value));
  for (; left > 0x7fn; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  return [...bytes, Number(left)];
};
const number = (field: number, value: bigint | number) => [...varint((field << 3) | 0), ...varint(value)];
const bytes = (field: number, value: readonly number[]) => [
  ...varint((field << 3) | 2),
  ...varint(value.length),
  ...value,
];
const text = (field: number, value: string) => bytes(field, [...Buffer.from(value)]);
const body = (apiVersion: string, kind: string, raw: readonly number[]) =>
  Buffer.from([
    0x6b,
    0x38,
    0x73,
    0,
    ...bytes(1, [...text(1, apiVersion), ...text(2, kind)]),
    ...bytes(2, raw),
    ...text(3, ""),
    ...text(4, ""),
  ]);

describe("a protobuf body", () => {
  it("is read into the object that JSON would have been", () => {
    const owner = [
      ...text(1, "Widget"),
      ...text(3, "w"),
      ...text(4, "u1"),
      ...text(5, "test.pcg.dev/v1"),
      ...number(6, 1),
    ];
    const managed = [
      ...text(1, "m"),
      ...text(2, "Apply"),
      ...text(6, "FieldsV1"),
      ...bytes(7, text(1, '{"f:data":{}}')),
    ];
    const meta = [
      ...text(1, "s"),
      ...text(2, ""),
      ...text(3, "n"),
      ...text(4, ""),
      ...number(7, 0),
      ...bytes(8, []),
      ...bytes(11, [...text(1, "a"), ...text(2, "b")]),
      ...bytes(11, [...text(1, "c"), ...text(2, "d")]),
      ...bytes(13, owner),
      ...text(14, "x.dev/one"),
      ...text(14, "x.dev/two"),
      ...bytes(17, managed),
    ];
    const secret = [
      ...bytes(1, meta),
      ...bytes(2, [...text(1, "key"), ...text(2, "hello")]),
      ...text(3, "Opaque"),
    ];
    expect(readProtobuf(body("v1", "Secret", secret))).toEqual({
      apiVersion: "v1",
      kind: "Secret",
      metadata: {
        name: "s",
        namespace: "n",
        generation: 0,
        labels: { a: "b", c: "d" },
        ownerReferences: [
          { kind: "Widget", name: "w", uid: "u1", apiVersion: "test.pcg.dev/v1", controller: true },
        ],
        finalizers: ["x.dev/one", "x.dev/two"],
        managedFields: [
          { manager: "m", operation: "Apply", fieldsType: "FieldsV1", fieldsV1: { "f:data": {} } },
        ],
      },
      data: { key: Buffer.from("hello").toString("base64") },
      type: "Opaque",
    });
  });

  it("has times in RFC 3339, to the second or the microsecond", () => {
    const at = Date.UTC(2026, 0, 2, 3, 4, 5) / 1000;
    const spec = [
      ...text(1, "me"),
      ...number(2, 15),
      ...bytes(4, [...number(1, at), ...number(2, 123_456_789)]),
    ];
    const lease = [...bytes(1, [...text(1, "l"), ...bytes(8, number(1, at))]), ...bytes(2, spec)];
    expect(readProtobuf(body("coordination.k8s.io/v1", "Lease", lease))).toMatchObject({
      metadata: { creationTimestamp: "2026-01-02T03:04:05Z" },
      spec: { holderIdentity: "me", leaseDurationSeconds: 15, renewTime: "2026-01-02T03:04:05.123456Z" },
    });
  });

  it("keeps numbers below zero, and skips fields that nobody here knows", () => {
    const event = [...number(8, -3n), ...number(900, 7), ...bytes(901, [1, 2]), ...text(3, "R")];
    expect(readProtobuf(body("v1", "Event", event))).toEqual({
      apiVersion: "v1",
      kind: "Event",
      count: -3,
      reason: "R",
    });
  });

  it("says how to delete, whatever version of the options it is", () => {
    const options = [...bytes(2, text(1, "u1")), ...text(4, "Foreground"), ...text(5, "All")];
    expect(readProtobuf(body("v1", "DeleteOptions", options))).toMatchObject({
      preconditions: { uid: "u1" },
      propagationPolicy: "Foreground",
      dryRun: ["All"],
    });
  });

  it.each<[string, Buffer, number]>([
    ["of a kind nobody reads", body("apps/v1", "Deployment", []), 415],
    ["without its magic", Buffer.from("{}"), 400],
    ["that ends too early", body("v1", "Secret", [0x0a, 0x7f]), 400],
    [
      "with a number without end",
      body(
        "v1",
        "Secret",
        Array.from({ length: 12 }, () => 0xff),
      ),
      400,
    ],
    ["with groups, which are no more", body("v1", "Secret", [0x0b]), 400],
    ["with a number where text belongs", body("v1", "Secret", number(3, 5)), 400],
  ])("%s is refused", (_name, bad, status) => {
    expect(() => readProtobuf(bad)).toThrow(expect.objectContaining({ status }));
  });
});

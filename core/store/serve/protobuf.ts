// Bodies in Kubernetes' protobuf: kubectl and Go controllers send the built-in kinds so, whatever the server may prefer, and have no
// second try. So this face reads them (it never writes them). Pure.
//
// A body is "k8s\0" and a runtime.Unknown: apiVersion, kind and the object's own message (k8s.io/apimachinery pkg/runtime,
// serializer/protobuf). Field numbers are those of the generated.proto files of k8s.io/api 0.35. Go writes every plain field, empty or
// not; an empty one is left out here, as JSON leaves it out.
import { badRequest, Refusal } from "./problem.ts";

/** How one field reads: its name and its type. */
type Field = readonly [name: string, type: Type];
type Type =
  | "string"
  | "int"
  | "bool"
  | "bytes" // base64 in JSON
  | "json" // JSON text in bytes: fieldsV1
  | "time"
  | "microTime"
  | { readonly message: Message }
  | { readonly list: Type }
  | { readonly map: Type };
type Message = Readonly<Record<number, Field>>;

const list = (type: Type): Type => ({ list: type });
const map = (type: Type): Type => ({ map: type });
const of = (message: Message): Type => ({ message });
const texts = (...names: readonly string[]): Message =>
  Object.fromEntries(names.map((name, at) => [at + 1, [name, "string"] as const]));

const ownerReference: Message = {
  1: ["kind", "string"],
  3: ["name", "string"],
  4: ["uid", "string"],
  5: ["apiVersion", "string"],
  6: ["controller", "bool"],
  7: ["blockOwnerDeletion", "bool"],
};

const managedFields: Message = {
  1: ["manager", "string"],
  2: ["operation", "string"],
  3: ["apiVersion", "string"],
  4: ["time", "time"],
  6: ["fieldsType", "string"],
  7: ["fieldsV1", of({ 1: ["", "json"] })],
  8: ["subresource", "string"],
};

const objectMeta = of({
  1: ["name", "string"],
  2: ["generateName", "string"],
  3: ["namespace", "string"],
  5: ["uid", "string"],
  6: ["resourceVersion", "string"],
  7: ["generation", "int"],
  8: ["creationTimestamp", "time"],
  9: ["deletionTimestamp", "time"],
  10: ["deletionGracePeriodSeconds", "int"],
  11: ["labels", map("string")],
  12: ["annotations", map("string")],
  13: ["ownerReferences", list(of(ownerReference))],
  14: ["finalizers", list("string")],
  17: ["managedFields", list(of(managedFields))],
});

const reference = of(texts("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"));
const source = of(texts("component", "host"));
const series = of({ 1: ["count", "int"], 2: ["lastObservedTime", "microTime"] });
const resourceAttributes = of(
  texts("namespace", "verb", "group", "version", "resource", "subresource", "name"),
);

const rules = list(
  of({
    1: ["verbs", list("string")],
    2: ["apiGroups", list("string")],
    3: ["resources", list("string")],
    4: ["resourceNames", list("string")],
    5: ["nonResourceURLs", list("string")],
  }),
);
const role: Message = { 1: ["metadata", objectMeta], 2: ["rules", rules] };
const binding: Message = {
  1: ["metadata", objectMeta],
  2: ["subjects", list(of(texts("kind", "apiGroup", "name", "namespace")))],
  3: ["roleRef", of(texts("apiGroup", "kind", "name"))],
};

/** The messages that are read, by apiVersion and kind. */
const messages: Readonly<Record<string, Message>> = {
  "v1/Namespace": {
    1: ["metadata", objectMeta],
    2: ["spec", of({ 1: ["finalizers", list("string")] })],
    3: ["status", of(texts("phase"))],
  },
  "v1/ConfigMap": {
    1: ["metadata", objectMeta],
    2: ["data", map("string")],
    3: ["binaryData", map("bytes")],
    4: ["immutable", "bool"],
  },
  "v1/Secret": {
    1: ["metadata", objectMeta],
    2: ["data", map("bytes")],
    3: ["type", "string"],
    4: ["stringData", map("string")],
    5: ["immutable", "bool"],
  },
  "v1/ServiceAccount": {
    1: ["metadata", objectMeta],
    2: ["secrets", list(reference)],
    3: ["imagePullSecrets", list(of(texts("name")))],
    4: ["automountServiceAccountToken", "bool"],
  },
  "v1/Event": {
    1: ["metadata", objectMeta],
    2: ["involvedObject", reference],
    3: ["reason", "string"],
    4: ["message", "string"],
    5: ["source", source],
    6: ["firstTimestamp", "time"],
    7: ["lastTimestamp", "time"],
    8: ["count", "int"],
    9: ["type", "string"],
    10: ["eventTime", "microTime"],
    11: ["series", series],
    12: ["action", "string"],
    13: ["related", reference],
    14: ["reportingComponent", "string"],
    15: ["reportingInstance", "string"],
  },
  "coordination.k8s.io/v1/Lease": {
    1: ["metadata", objectMeta],
    2: [
      "spec",
      of({
        1: ["holderIdentity", "string"],
        2: ["leaseDurationSeconds", "int"],
        3: ["acquireTime", "microTime"],
        4: ["renewTime", "microTime"],
        5: ["leaseTransitions", "int"],
        6: ["strategy", "string"],
        7: ["preferredHolder", "string"],
      }),
    ],
  },
  "rbac.authorization.k8s.io/v1/Role": role,
  "rbac.authorization.k8s.io/v1/ClusterRole": role,
  "rbac.authorization.k8s.io/v1/RoleBinding": binding,
  "rbac.authorization.k8s.io/v1/ClusterRoleBinding": binding,
  "authorization.k8s.io/v1/SelfSubjectAccessReview": {
    1: ["metadata", objectMeta],
    2: [
      "spec",
      of({
        1: ["resourceAttributes", resourceAttributes],
        2: ["nonResourceAttributes", of(texts("path", "verb"))],
      }),
    ],
  },
  "authorization.k8s.io/v1/SelfSubjectRulesReview": {
    1: ["metadata", objectMeta],
    2: ["spec", of(texts("namespace"))],
  },
  "authentication.k8s.io/v1/SelfSubjectReview": { 1: ["metadata", objectMeta] },
};

const deleteOptions: Message = {
  1: ["gracePeriodSeconds", "int"],
  2: ["preconditions", of(texts("uid", "resourceVersion"))],
  3: ["orphanDependents", "bool"],
  4: ["propagationPolicy", "string"],
  5: ["dryRun", list("string")],
};

const unknown: Message = {
  1: ["typeMeta", of(texts("apiVersion", "kind"))],
  2: ["raw", "bytes"],
  3: ["contentEncoding", "string"],
  4: ["contentType", "string"],
};

/** The object in a protobuf body. UnsupportedMediaType for kinds that are not read, BadRequest where the bytes make no sense. */
export function readProtobuf(body: Buffer): Record<string, unknown> {
  if (body.subarray(0, 4).toString("latin1") !== "k8s\0") throw nonsense();
  const envelope = read(unknown, new Bytes(body.subarray(4)));
  const { apiVersion = "", kind = "" } = (envelope["typeMeta"] ?? {}) as Record<string, string>;
  const message = kind === "DeleteOptions" ? deleteOptions : messages[`${apiVersion}/${kind}`];
  if (!message) {
    throw new Refusal(
      415,
      "UnsupportedMediaType",
      `${kind} of ${apiVersion} cannot be read from protobuf - accepted media types include: application/json, application/yaml`,
    );
  }
  const raw = Buffer.from((envelope["raw"] as string | undefined) ?? "", "base64");
  return { apiVersion, kind, ...read(message, new Bytes(raw)) };
}

function read(message: Message, from: Bytes): Record<string, unknown> {
  const result = new Map<string, unknown>();
  while (!from.empty) {
    const tag = Number(from.varint());
    const field = message[tag >>> 3];
    const value = from.value(tag & 7);
    if (field) place(result, field, value);
  }
  return Object.fromEntries(result);
}

function place(result: Map<string, unknown>, [name, type]: Field, value: bigint | Buffer): void {
  if (typeof type === "object" && "list" in type) {
    const items = (result.get(name) ?? []) as unknown[];
    result.set(name, [...items, single(type.list, value)]);
  } else if (typeof type === "object" && "map" in type) {
    const entry = read({ 1: ["key", "string"], 2: ["value", type.map] }, bytesOf(value));
    const members = (result.get(name) ?? {}) as Record<string, unknown>;
    result.set(name, { ...members, [String(entry["key"] ?? "")]: entry["value"] ?? "" });
  } else {
    const plain = single(type, value);
    if (plain !== "" && plain !== undefined) result.set(name, plain);
  }
}

function single(type: Type, value: bigint | Buffer): unknown {
  if (typeof type === "object") {
    if (!("message" in type)) throw nonsense();
    const members = read(type.message, bytesOf(value));
    return "" in members ? members[""] : members; // a message that stands for its one field
  }
  switch (type) {
    case "string":
      return bufferOf(value).toString("utf8");
    case "bytes":
      return bufferOf(value).toString("base64");
    case "json":
      return JSON.parse(bufferOf(value).toString("utf8")) as unknown;
    case "bool":
      return value === 1n;
    case "int":
      return typeof value === "bigint" ? Number(BigInt.asIntN(64, value)) : undefined;
    case "time":
    case "microTime":
      return timeOf(bytesOf(value), type === "microTime" ? 6 : 0);
  }
}

/** A Timestamp message as RFC 3339; undefined for the time that was never set. */
function timeOf(from: Bytes, digits: number): string | undefined {
  const { seconds = 0, nanos = 0 } = read({ 1: ["seconds", "int"], 2: ["nanos", "int"] }, from) as Record<
    string,
    number
  >;
  if (seconds <= 0) return undefined;
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return digits === 0 ? `${whole}Z` : `${whole}.${String(nanos).padStart(9, "0").slice(0, digits)}Z`;
}

function bytesOf(value: bigint | Buffer): Bytes {
  return new Bytes(bufferOf(value));
}

function bufferOf(value: bigint | Buffer): Buffer {
  if (typeof value === "bigint") throw nonsense();
  return value;
}

/** The wire format: varints and lengths (protobuf.dev, "Encoding"). */
class Bytes {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get empty(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw nonsense();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw nonsense();
  }

  value(wire: number): bigint | Buffer {
    if (wire === 0) return this.varint();
    const length = wire === 1 ? 8 : wire === 5 ? 4 : wire === 2 ? Number(this.varint()) : -1;
    if (length < 0 || this.#at + length > this.#bytes.length) throw nonsense();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function nonsense(): Refusal {
  return badRequest("the body is not an object in Kubernetes' protobuf");
}

// The mirror of a cluster: a copy of what makes it up, which its agent sends to its gateway past the plane's eyes. The document is
// packed (JSON, gzip), sealed as a whole (core/sealed-box.ts), and cut into parts that fit into messages.
//
//   P1. The plane reads only whose it is: it passes parts of a cluster's own agent on to the cluster's gateway.
//   P2. A later mirror has a higher sequence; parts of two are never put together.
import { gunzipSync, gzipSync } from "node:zlib";
import { z } from "zod";
import { Fault, type Resource } from "#core";
import { contentHash } from "./render/shape.ts";
import { desiredStateSchema } from "./kinds/spectro-cluster.ts";

/** Up from an agent, down to its gateway; class state, key = "<cluster uid>/<part>". */
export const mirrorTopic = "mirror.part";
/** 2,000 machines are about 40 of these. */
export const maxMirrorParts = 128;
/** Bytes of the box in a part: as base64, and with what stands around it, it fits into a message of 256 KiB. */
export const mirrorPartBytes = 180 * 1024;
export const mirrorPartSchema = z.object({
  clusterUid: z.string().min(1).max(63),
  sequence: z.int().min(1),
  part: z.int().min(0),
  parts: z.int().min(1).max(maxMirrorParts),
  /** Base64. */
  data: z.string().max((mirrorPartBytes / 3) * 4),
});
export type MirrorPart = z.infer<typeof mirrorPartSchema>;

/**
 * Up from a gateway, class state, key = "gateway": which mirrors it has, by digest. The plane tells each agent of the gateway's
 * clusters (key = cluster uid) what is known of its own; and takes it as a sign that the gateway may have lost orders too.
 */
export const mirrorWantedTopic = "mirror.wanted";
export const mirrorWantedSchema = z.object({
  /** Cluster uid to digest. */
  have: z.record(z.string(), z.string()),
  /** The gateway's store was restored or lost: what it was ordered since then is gone. */
  lost: z.boolean().optional(),
});
export type MirrorWanted = z.infer<typeof mirrorWantedSchema>;

/** What a box is sealed for: whose it is, and which one. */
export function mirrorContext(clusterUid: string, sequence: number): string {
  return `mirror/${clusterUid}/${sequence}`;
}

export const mirrorDocumentSchema = z.object({
  schema: z.literal(1),
  clusterUid: z.string(),
  clusterName: z.string(),
  /** RFC 3339. */
  takenAt: z.string(),
  /** The decision record as it is in the cluster. */
  decision: z.object({ id: z.string(), epoch: z.int().min(0) }),
  /** The plane's counter of `desired`. */
  counter: z.int().min(1),
  desired: desiredStateSchema,
  digest: z.string(),
  /** Owners before what they own; as read, without managed fields. Secrets included: it is never logged. */
  objects: z.array(
    z.looseObject({
      apiVersion: z.string(),
      kind: z.string(),
      metadata: z.looseObject({ name: z.string(), uid: z.string() }),
    }),
  ),
});
export type MirrorDocument = Omit<z.infer<typeof mirrorDocumentSchema>, "objects"> & {
  readonly objects: readonly Resource[];
};

export function packMirror(document: MirrorDocument): Uint8Array {
  return gzipSync(JSON.stringify(document));
}

/** What a mirror may unfold to: a box that was sealed by a cluster gone bad must not fill the gateway's memory. */
const maxUnpackedBytes = 256 * 1024 * 1024;

/** Invalid where it is no mirror. */
export function unpackMirror(bytes: Uint8Array): MirrorDocument {
  try {
    const text = gunzipSync(bytes, { maxOutputLength: maxUnpackedBytes }).toString("utf8");
    return mirrorDocumentSchema.parse(JSON.parse(text)) as unknown as MirrorDocument;
  } catch (cause) {
    throw new Fault("Invalid", "the mirror cannot be read: it is of another version, or damaged", { cause });
  }
}

/** A box cut into parts. Invalid where it is too large for `maxMirrorParts`. */
export function partsOf(clusterUid: string, sequence: number, box: Uint8Array): MirrorPart[] {
  const parts = Math.max(1, Math.ceil(box.length / mirrorPartBytes));
  if (parts > maxMirrorParts) {
    const [size, limit] = [box.length, maxMirrorParts * mirrorPartBytes].map((n) => Math.ceil(n / 2 ** 20));
    throw new Fault(
      "Invalid",
      `the mirror of cluster ${clusterUid} has ${size} MiB, at most ${limit} MiB are kept`,
    );
  }
  return Array.from({ length: parts }, (_, part) => {
    const bytes = box.subarray(part * mirrorPartBytes, (part + 1) * mirrorPartBytes);
    return { clusterUid, sequence, part, parts, data: Buffer.from(bytes).toString("base64") };
  });
}

/** One hash over content and the status that is written once upstream: what only the world moves on is no reason for another copy. */
export function mirrorDigest(objects: readonly Resource[]): string {
  return contentHash(
    objects
      .map((object) => [`${object.kind}/${object.metadata.name}`, contentHash(contentOf(object))] as const)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
  );
}

function contentOf({ metadata, status, ...body }: Resource): unknown {
  const { uid, labels, annotations, finalizers, ownerReferences, deletionTimestamp } = metadata;
  const { initialization, nodeRef, addressRef, lastRemediation } = (status ?? {}) as Record<string, unknown>;
  return {
    ...body,
    metadata: { uid, labels, annotations, finalizers, ownerReferences, deletionTimestamp },
    status: { initialization, nodeRef, addressRef, lastRemediation },
  };
}

/** Owners before what they own; a cycle ends in the order given. */
export function ownersFirst(objects: readonly Resource[]): Resource[] {
  const waiting = new Map(objects.map((object) => [object.metadata.uid, object]));
  const order: Resource[] = [];
  while (waiting.size > 0) {
    const free = [...waiting.values()].filter((object) =>
      (object.metadata.ownerReferences ?? []).every((ref) => !waiting.has(ref.uid)),
    );
    for (const object of free.length > 0 ? free : [...waiting.values()]) {
      order.push(object);
      waiting.delete(object.metadata.uid);
    }
  }
  return order;
}

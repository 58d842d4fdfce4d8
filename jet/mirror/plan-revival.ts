// What comes of a person's word that a cluster has lost its own Cluster API objects and shall have them back from its mirror. Pure.
//
//   Z1. Only for a cluster that owns itself, with a mirror that is no older than its hand-over.
//   Z2. Only where its API answers and holds no Cluster and no machine: then no controller there acts for it, and the credential can be
//       taken away for good. A silent API proves neither; it is waited for. Whoever wants such a cluster gone deletes it, by the ledger.
//   Z3. A word that can come to nothing is taken off again, and why is said.
import { isRevival, type PivotJournal } from "../pivot/journal.ts";
import type { AboutMirror } from "../ports.ts";

export interface RevivalSeen {
  readonly clusterName: string;
  readonly journal: PivotJournal | undefined;
  readonly mirror: Pick<AboutMirror, "epoch"> | undefined;
  readonly api:
    | { readonly kind: "silent" }
    /** `lost`: its Cluster is not there; `left` is a machine that is. */
    | { readonly kind: "answers"; readonly lost: { readonly left?: string } | undefined };
}

export type Revival =
  | { readonly do: "revive" }
  /** It goes on by itself when a person has done what the message says. */
  | { readonly do: "wait"; readonly message: string }
  /** `why`: it came to nothing. */
  | { readonly do: "heard"; readonly why?: string };

export function planRevival({ clusterName, journal, mirror, api }: RevivalSeen): Revival {
  if (isRevival(journal)) return { do: "heard" };
  if (journal?.direction !== "ToWorkload" || journal.step !== "Done")
    return { do: "heard", why: "it does not manage itself: the gateway has its objects" };
  if (!mirror) return { do: "heard", why: "this gateway has no mirror of it" };
  if (mirror.epoch < journal.epoch)
    return { do: "heard", why: "the newest mirror of it is from before its last hand-over" };
  if (api.kind === "silent") {
    const message = `its objects are brought back from the mirror when its API answers: restore it, from any backup or empty, with the cluster's own authority. If it is lost for good, delete the cluster: pcg delete cluster ${clusterName}`;
    return { do: "wait", message };
  }
  if (!api.lost) return { do: "heard", why: "it has its own objects, nothing is lost" };
  const { left } = api.lost;
  if (left === undefined) return { do: "revive" };
  const message = `${left} is left in it: nothing acts on that without its Cluster. Remove such objects there, with their finalizers; the revival then goes on`;
  return { do: "wait", message };
}

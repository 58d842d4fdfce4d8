// How many machines, VMs and addresses a cluster has, as counts and hashes: enough to see that one is more, less or another, and
// nothing that must not be told. Pure.
import { ipAddress, machine, vsphereVM } from "#proto";
import { contentHash } from "#proto/render/shape.ts";
import type { Member } from "./closure.ts";
import type { PivotJournal } from "./journal.ts";

export type Census = NonNullable<PivotJournal["census"]>;

/** What is counted, each by what it is called on any side: never by uid, which a move changes. */
const counted = {
  machines: { kind: machine, of: (m: Member) => m.object.metadata.name },
  vms: { kind: vsphereVM, of: (m: Member) => spec(m).biosUUID ?? `unknown of ${m.object.metadata.name}` },
  addresses: {
    kind: ipAddress,
    of: (m: Member) => `${spec(m).address ?? ""} for ${spec(m).claimRef?.name ?? ""}`,
  },
} as const;

function spec({ object }: Member) {
  return (object.spec ?? {}) as { biosUUID?: string; address?: string; claimRef?: { name?: string } };
}

function listed(members: readonly Member[], what: keyof Census): string[] {
  const { kind, of } = counted[what];
  return members
    .filter((m) => m.kind === kind)
    .map(of)
    .sort();
}

export function censusOf(members: readonly Member[]): Census {
  const tally = (what: keyof Census) => {
    const names = listed(members, what);
    return { count: names.length, digest: contentHash(names) };
  };
  return { machines: tally("machines"), vms: tally("vms"), addresses: tally("addresses") };
}

const titles: Readonly<Record<keyof Census, string>> = {
  machines: "machines",
  vms: "VMs",
  addresses: "addresses",
};

/** In what two censuses differ, in words; undefined when they are the same. */
export function censusDifference(before: Census, after: Census): string | undefined {
  const odd = (Object.keys(titles) as (keyof Census)[]).filter((w) => before[w].digest !== after[w].digest);
  if (odd.length === 0) return undefined;
  return odd
    .map((what) =>
      before[what].count === after[what].count
        ? `${titles[what]} are others than before (${before[what].count})`
        : `${after[what].count} ${titles[what]} instead of ${before[what].count}`,
    )
    .join(", ");
}

/** Which machines, VMs and addresses only one of the sides has, for a message that names them. */
export function namesThatDiffer(before: readonly Member[], after: readonly Member[]): string[] {
  return (Object.keys(counted) as (keyof Census)[]).flatMap((what) => {
    const [was, is] = [listed(before, what), listed(after, what)];
    return [
      ...is.filter((name) => !was.includes(name)).map((name) => `+${name}`),
      ...was.filter((name) => !is.includes(name)).map((name) => `-${name}`),
    ];
  });
}

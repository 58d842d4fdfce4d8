// Taking over addresses that are in use already: as claims that ask for them, which the allocator serves like all others. So what is
// imported cannot collide with what is given out at the same time. The plan is pure; the act makes claims.
import { isDnsSubdomain, isFault, type Draft, type Kind, type Resource, type ResourceStore } from "#core";
import { clusterNameLabel, ipAddressClaim, metal3IPClaim } from "#proto";
import { formatAddress, parseAddress } from "../address.ts";
import type { GuestAddress } from "../conflicts/find.ts";
import { pointerText, type Inventory, type KnownPool } from "../inventory/index.ts";
import { wantedAnnotation } from "../metal3/words.ts";
import { wishAnnotation } from "../policy.ts";

/** An address in use, and what for. */
export interface ImportRow {
  /** Where it was read: "line 3", "IPAddress c/a", "VM db-1". */
  readonly from: string;
  readonly address: string;
  /** What its claim is to be called; by its address unless told. */
  readonly name?: string;
  readonly cluster?: string;
}

export interface ImportPlan {
  readonly create: readonly {
    readonly name: string;
    readonly address: string;
    readonly from: string;
    readonly cluster?: string;
  }[];
  /** There already, as it should be. */
  readonly held: readonly { readonly address: string; readonly by: string }[];
  readonly refused: readonly { readonly from: string; readonly why: string }[];
}

/** A table with the heading "address", and "name" and "cluster" if wanted; by commas, semicolons or tabs. Pure. */
export function rowsOfCsv(text: string): {
  readonly rows: readonly ImportRow[];
  readonly problems: readonly string[];
} {
  const lines = text.split(/\r?\n/).map((line, index) => ({ line: line.trim(), number: index + 1 }));
  const filled = lines.filter(({ line }) => line !== "" && !line.startsWith("#"));
  const [head, ...body] = filled;
  if (!head) return { rows: [], problems: ["there is nothing in it"] };
  const by = [",", ";", "\t"].find((each) => head.line.includes(each)) ?? ",";
  const cells = (line: string) => line.split(by).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
  const columns = cells(head.line).map((name) => name.toLowerCase());
  const at = (name: string) => columns.indexOf(name);
  if (at("address") < 0)
    return {
      rows: [],
      problems: [
        `line ${head.number}: the heading must name a column "address"; it names ${columns.join(", ")}`,
      ],
    };
  const unknown = columns.filter((name) => !["address", "name", "cluster"].includes(name));
  const problems = unknown.map(
    (name) => `line ${head.number}: there is no column "${name}"; use address, name, cluster`,
  );
  const rows = body.map(({ line, number }) => {
    const values = cells(line);
    const [name, cluster] = [values[at("name")], values[at("cluster")]];
    return {
      from: `line ${number}`,
      address: values[at("address")] ?? "",
      ...(name ? { name } : {}),
      ...(cluster ? { cluster } : {}),
    };
  });
  return { rows, problems };
}

/** What another store's IPAddresses say: the in-cluster provider's and Metal3's. Pure. */
export function rowsOfInventory({ addresses }: Inventory): ImportRow[] {
  return addresses.map(({ object, key, claim, cluster }) => ({
    from: `${object.kind} ${key.namespace ?? ""}/${key.name}`,
    address: object.spec.address,
    name: claim,
    ...(cluster ? { cluster } : {}),
  }));
}

/** What vCenter's guests report. Pure. */
export function rowsOfGuests(guests: readonly GuestAddress[]): ImportRow[] {
  return guests.flatMap(({ vm, addresses }) =>
    addresses
      .filter((address) => !address.startsWith("fe80:") && !address.startsWith("169.254."))
      .map((address, index) => ({ from: `VM ${vm}`, address, name: index === 0 ? vm : `${vm}-${index}` })),
  );
}

/** Pure. `others`: rows of addresses that the pool does not give out are left out silently, as when a whole vCenter is read. */
export function planImport(
  rows: readonly ImportRow[],
  pool: KnownPool,
  inventory: Inventory,
  options: { readonly skipOthers?: boolean } = {},
): ImportPlan {
  const create = new Map<string, ImportPlan["create"][number]>();
  const held: { address: string; by: string }[] = [];
  const refused: { from: string; why: string }[] = [];
  const names = new Map<string, string>();
  const scope = pool.pointer.namespace;
  const taken = new Set(
    inventory.claims
      .filter(({ key }) => scope === undefined || key.namespace === scope)
      .map(({ key }) => key.name),
  );
  for (const { from, address: text, name: wanted, cluster } of rows) {
    const refuse = (why: string) => void refused.push({ from, why });
    const address = parseAddress(text);
    if (!address) {
      refuse(`${JSON.stringify(text)} is not an IP address`);
      continue;
    }
    const canonical = formatAddress(address);
    const holder = inventory.addresses.find(
      (each) => each.address && formatAddress(each.address) === canonical,
    );
    const name = (wanted ?? `imported-${canonical.replace(/[.:]/g, "-").replace(/-+$/, "")}`).toLowerCase();
    if (holder) held.push({ address: canonical, by: `${holder.key.namespace ?? ""}/${holder.claim}` });
    else if (!pool.gives(address)) {
      if (!options.skipOthers)
        refuse(`${pointerText(pool.pointer)} does not give out ${canonical}; add it to the pool first`);
    } else if (create.has(canonical))
      refuse(`${canonical} is there twice: ${create.get(canonical)!.from} names it too`);
    else if (!isDnsSubdomain(name))
      refuse(`${JSON.stringify(wanted)} cannot be a claim's name: lower case letters, digits, '-' and '.'`);
    else if (names.has(name)) refuse(`the name ${name} is there twice: ${names.get(name)!} has it too`);
    else if (taken.has(name)) refuse(`there is a claim ${name} already; give it another name`);
    else {
      names.set(name, from);
      create.set(canonical, { name, address: canonical, from, ...(cluster ? { cluster } : {}) });
    }
  }
  return { create: [...create.values()], held, refused };
}

/** Makes the claims; what is there already is left. Returns how many it made. Twice is once. */
export async function actImport(
  store: ResourceStore,
  pool: KnownPool,
  plan: ImportPlan,
  namespace: string,
): Promise<number> {
  const { pointer } = pool;
  const isMetal3 = pointer.kind === "IPPool";
  const kind = (isMetal3 ? metal3IPClaim : ipAddressClaim) as Kind;
  let made = 0;
  for (const { name, address, cluster } of plan.create) {
    const draft: Draft<Resource> = {
      metadata: {
        namespace,
        name,
        annotations: { [isMetal3 ? wantedAnnotation : wishAnnotation]: address },
        ...(cluster ? { labels: { [clusterNameLabel]: cluster } } : {}),
      },
      spec: isMetal3
        ? { pool: { name: pointer.name, namespace } }
        : { poolRef: { apiGroup: pointer.group, kind: pointer.kind, name: pointer.name } },
    };
    try {
      await store.create(kind, draft);
      made++;
    } catch (error) {
      if (!isFault(error, "AlreadyExists")) throw error;
    }
  }
  return made;
}

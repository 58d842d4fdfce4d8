// pcg ip: pools, claims, and why a claim has its address or not. Reads the gateway (or any cluster, by --kubeconfig).
import { readFile } from "node:fs/promises";
import { Fault, isFault, keyText, type OwnedStore, type ResourceStore } from "#core";
import { nearest } from "#core/options/index.ts";
import { kubeStore } from "#core/store/kube-store.ts";
import { humanDuration } from "#core/time/human-duration.ts";
import {
  claimViews,
  explainAddress,
  explainClaim,
  parseAddress,
  pointerText,
  poolViews,
  readInventory,
  type ClaimView,
  type Explanation,
  type Inventory,
  type KnownClaim,
  type PoolView,
} from "#ipam";
import { show, table, type Format, type Output } from "../output.ts";
import type { World } from "../world.ts";
import { openGateway } from "./connect.ts";

export interface IpOptions {
  readonly context: string;
  /** Any API server in place of the context's gateway. */
  readonly kubeconfig?: string;
  readonly namespace?: string;
  readonly output: Format;
}

/** Opens the store for as long as `work` takes. */
export async function withStore<T>(
  world: World,
  { context, kubeconfig }: Pick<IpOptions, "context" | "kubeconfig">,
  work: (store: ResourceStore) => Promise<T>,
): Promise<T> {
  const store = await (kubeconfig === undefined
    ? openGateway(world, context)
    : openCluster(world, kubeconfig));
  try {
    return await work(store);
  } catch (error) {
    throw unreached(error, kubeconfig);
  } finally {
    await store.close();
  }
}

/** What to do where the API does not answer; anything else stays. Pure. */
export function unreached(error: unknown, kubeconfig: string | undefined): unknown {
  if (!isFault(error, "Unavailable", "TimedOut")) return error;
  const advice =
    kubeconfig === undefined
      ? "is the gateway started? pcg doctor tells what is wrong; for another cluster give --kubeconfig"
      : `does the server that ${kubeconfig} names run, and is it reachable from here?`;
  return new Fault(error.code, `${error.message}; ${advice}`, { cause: error });
}

export async function openCluster(world: World, path: string, flag = "--kubeconfig"): Promise<OwnedStore> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new Fault("Invalid", `${flag} ${path} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return kubeStore(text, { clock: world.clock });
}

/** pcg ip pools: one line a pool, the fullest first with -o wide's ranges. */
export async function ipPools(world: World, options: IpOptions): Promise<void> {
  const inventory = await withStore(world, options, readInventory);
  const pools = poolViews(inventory).filter(({ pool }) => isIn(options, pool.namespace));
  show(world.output, options.output, { items: pools }, () => poolTable(world.output, pools, options.output));
}

export function poolTable(output: Output, pools: readonly PoolView[], format: Format): string {
  if (format === "name") return pools.map(({ pool }) => pointerText(pool)).join("\n");
  if (pools.length === 0)
    return "no pools found; make one: kubectl apply -f pool.yaml (docs/ipam.md shows some)";
  const wide = format === "wide";
  const colour = {
    ok: "green",
    low: "yellow",
    exhausted: "red",
    wrong: "red",
    paused: "yellow",
    deleting: "yellow",
  } as const;
  const rows = pools.map(({ pool, total, free, used, waiting, state, ranges, outOfRange, problems }) => [
    pool.namespace ?? "",
    pool.name,
    pool.kind,
    total,
    String(used),
    free,
    String(waiting),
    output.style(colour[state], state),
    ...(wide
      ? [
          String(outOfRange),
          ranges.join(" "),
          problems.map(({ field, message }) => `${field} ${message}`).join("; "),
        ]
      : []),
  ]);
  const head = ["NAMESPACE", "NAME", "KIND", "TOTAL", "USED", "FREE", "WAITING", "STATE"];
  return table([...head, ...(wide ? ["OUT OF RANGE", "RANGES", "PROBLEMS"] : [])], rows);
}

export interface ClaimOptions extends IpOptions {
  /** Only claims on pools of this name. */
  readonly pool?: string;
  /** Only those without an address. */
  readonly waiting?: boolean;
}

/** pcg ip claims: one line a claim; those that wait say why. */
export async function ipClaims(world: World, options: ClaimOptions): Promise<void> {
  const inventory = await withStore(world, options, readInventory);
  const claims = claimViews(inventory)
    .filter(({ namespace }) => isIn(options, namespace))
    .filter(({ pool }) => options.pool === undefined || pool.name === options.pool)
    .filter(({ state }) => !options.waiting || state === "waiting" || state === "unseen");
  show(world.output, options.output, { items: claims }, () =>
    claimTable(world.output, claims, options.output, world.clock.now()),
  );
}

export function claimTable(
  output: Output,
  claims: readonly ClaimView[],
  format: Format,
  now: number,
): string {
  if (format === "name") return claims.map(({ kind, name }) => `${kind.toLowerCase()}/${name}`).join("\n");
  if (claims.length === 0) return "no claims found";
  const wide = format === "wide";
  const colour = { bound: "green", waiting: "red", unseen: "yellow", releasing: "yellow" } as const;
  const rows = claims.map((claim) => [
    claim.namespace,
    claim.name,
    claim.pool.name,
    claim.address ?? "",
    output.style(colour[claim.state], claim.state),
    humanDuration(now - Date.parse(claim.createdAt)),
    claim.message ?? "",
    ...(wide ? [claim.kind, claim.cluster ?? "", claim.for ?? ""] : []),
  ]);
  const head = ["NAMESPACE", "NAME", "POOL", "ADDRESS", "STATE", "AGE", "MESSAGE"];
  return table([...head, ...(wide ? ["KIND", "CLUSTER", "FOR"] : [])], rows);
}

/** pcg ip explain CLAIM|ADDRESS. */
export async function ipExplain(world: World, what: string, options: IpOptions): Promise<void> {
  const inventory = await withStore(world, options, readInventory);
  const address = parseAddress(what);
  const explanation = address
    ? explainAddress(address, inventory)
    : explainClaim(findClaim(inventory, what, options.namespace), inventory, world.clock.now());
  show(world.output, options.output, explanation, () => explanationText(world.output, explanation));
}

export function explanationText(output: Output, { verdict, findings }: Explanation): string {
  const marks = {
    ok: output.style("green", "ok"),
    stop: output.style("red", "no"),
    note: output.style("yellow", "--"),
  };
  const lines = findings.flatMap(({ is, text, remedy }) => [
    `  ${marks[is]}  ${text}`,
    ...(remedy ? [`      ${output.style("dim", `to do: ${remedy}`)}`] : []),
  ]);
  return [output.style("bold", verdict), ...lines].join("\n");
}

/** The claim of this name ("name" or "namespace/name"). NotFound names those that are near; several: Invalid asks which. */
export function findClaim(
  { claims }: Pick<Inventory, "claims">,
  what: string,
  namespace?: string,
): KnownClaim {
  const slash = what.indexOf("/");
  const name = what.slice(slash + 1);
  const within = slash < 0 ? namespace : what.slice(0, slash);
  const found = claims.filter(
    ({ key }) => key.name === name && (within === undefined || key.namespace === within),
  );
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    const all = found.map(({ kind, key }) => `${kind.kind} ${keyText(key)}`).join(", ");
    throw new Fault(
      "Invalid",
      `there are ${found.length} claims ${what}: ${all}; name one with its namespace, or explain its address`,
    );
  }
  const hint = nearest(
    name,
    claims.map(({ key }) => key.name),
  );
  throw new Fault(
    "NotFound",
    `there is no claim ${what}${hint ? `; did you mean ${hint}?` : ""} (pcg ip claims lists them)`,
  );
}

/** Pools without a namespace are in all. */
function isIn({ namespace }: IpOptions, where: string | undefined): boolean {
  return namespace === undefined || where === undefined || where === namespace;
}

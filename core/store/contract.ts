// The suite that holds every backend to the contract in store.ts. It runs on the memory and SQLite stores, on the Kubernetes store
// against our own REST face, and against a real kube-apiserver: so nothing here asks for more than Kubernetes promises.
// A real server needs the CRDs of contractCrds(), and a controller manager for owners and namespaces.
import { afterEach, beforeEach, describe } from "vitest";
import { collecting } from "./contract/collecting.ts";
import { many } from "./contract/many.ts";
import { Trial, type ContractCaps, type ContractSetup } from "./contract/trial.ts";
import { watches } from "./contract/watches.ts";
import { writes } from "./contract/writes.ts";

export * from "./contract/kinds.ts";
export { Follower, Trial, type ContractCaps, type ContractSetup } from "./contract/trial.ts";

/**
 * Registers the suite under this name. `make` is called before each test, which works in a namespace of its own; the setup's
 * close() is called after it, and closes `store` and everything made from it.
 */
export function storeContract(
  name: string,
  make: () => Promise<ContractSetup>,
  caps: ContractCaps = {},
): void {
  const timeout = Math.max(20_000, 3 * (caps.patienceMs ?? 0));
  describe(`the store contract: ${name}`, { timeout }, () => {
    let trial: Trial | undefined;
    beforeEach(async () => {
      trial = await Trial.begin(make, caps);
    });
    afterEach(async () => {
      await trial?.end();
      trial = undefined;
    });
    const the = () => trial as Trial;

    writes(the);
    watches(the);
    collecting(the);
    many(the);
  });
}

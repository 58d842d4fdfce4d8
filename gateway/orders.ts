// Orders: the plane's desired state of a cluster becomes an SPA.
//
//   O1. A document counts by its signature and its gatewayUid, not by the line it came over.
//   O2. A lower counter never overwrites a higher one; the same document twice is once.
//   O3. A document that can never be carried out is told to the plane as an event and then counts as received: it must not stop
//       the documents behind it.
//   O4. An order to delete a cluster that is not here is answered with "Deleted", so that the plane does not wait for ever.
//   O5. How to reach vCenter is this site's affair: whatever the plane wrote there is replaced by the gateway's own account; what a
//       cluster has of it already stays (jet/desired), and follows the account by another way (follow-vcenter.ts).
import { Fault, formatTime, isFault, type Clock, type Logger, type ResourceStore } from "#core";
import { acceptDesired } from "#jet";
import type { ClusterEvent, ClusterStatus, SpaSpec } from "#proto";
import { verifyDesired } from "#tunnel/identity/index.ts";
import type { MessageHandler } from "#tunnel";

export interface OrderDeps {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** Who we are, and the plane's key that signs desired state (Ed25519, PEM). */
  readonly identity: () => { readonly uid: string; readonly signingKey: string };
  /** Whether a cluster was seen to its end here. */
  readonly isForgotten: (clusterUid: string) => Promise<boolean>;
  /** The vCenter account that clusters are built with. */
  readonly account: () => SpaSpec["cloud"];
  readonly publish: {
    status(status: ClusterStatus): Promise<void>;
    event(event: ClusterEvent): Promise<void>;
  };
}

/** The handler of the topic desired.cluster. Rejects, and gets the message again, only where another try may succeed. */
export function orderHandler(deps: OrderDeps): MessageHandler {
  const { store, clock, log, identity, account, publish } = deps;
  return async (message) => {
    try {
      const desired = verifyDesired(message.body, identity().signingKey); // O1
      if (desired.gatewayUid !== identity().uid) {
        throw new Fault(
          "Invalid",
          `desired state of cluster ${desired.clusterUid} is meant for another gateway; it was ignored`,
        );
      }
      const { clusterUid, counter } = desired;
      const known = { ...desired, spec: { ...desired.spec, cloud: account() } }; // O5
      const outcome = await acceptDesired(store, known, deps.isForgotten); // O2
      log.info("order received", { clusterUid, counter, outcome });
      if (outcome === "gone") await publish.status(deletedStatus(clusterUid, counter)); // O4
    } catch (error) {
      if (!isFault(error, "Invalid", "Unauthorized")) throw error;
      log.error("order refused", { topic: message.topic, key: message.key, error });
      await publish.event({
        id: `order-${message.epoch}-${message.seq}`,
        at: formatTime(clock.now()),
        ...(message.key ? { clusterUid: message.key } : {}),
        severity: "Error",
        reason: "OrderRefused",
        message: error.message,
        component: "gateway",
      }); // O3
    }
  };
}

function deletedStatus(clusterUid: string, counter: number): ClusterStatus {
  return {
    clusterUid,
    state: "Deleted",
    pivoted: false,
    observedCounter: counter,
    conditions: [],
    milestones: [],
    machines: [],
  };
}

// A cluster of which it is not known which side owns it: nothing is done for it, and it says what a person can do. Pure.
import type { ConditionDraft } from "#core";
import { words } from "#proto/render/names.ts";
import type { SpaPlan } from "./spa-plan.ts";
import type { SpaSeen } from "./seen.ts";

/** "Reason: message"; undefined where it is not held. A forced deletion does not wait for an answer. */
export function heldBy({ spa, deleting }: SpaSeen): string | undefined {
  if (deleting && String(spa.spec.deletePolicy) === "Force") return undefined;
  return spa.metadata.annotations?.[words.held];
}

export function planHeld(seen: SpaSeen, held: string): SpaPlan {
  const { state } = seen.spa.status ?? {};
  return {
    actions: [{ do: "settle" }],
    conditions: [adoptionRequired(held)],
    standings: "kept",
    state: seen.deleting ? "Deleting" : state === "Running" ? "Running" : "Error",
    pace: "steady",
  };
}

/** The condition goes to False, once, when nothing holds it any more. */
export function adoptionSettled({ spa }: SpaSeen): ConditionDraft[] {
  const was = spa.status?.conditions?.some((c) => c.type === "AdoptionRequired");
  return was ? [{ type: "AdoptionRequired", status: "False", reason: "Settled", message: "" }] : [];
}

function adoptionRequired(held: string): ConditionDraft {
  const at = held.indexOf(": ");
  const [reason, why] = at > 0 ? [held.slice(0, at), held.slice(at + 2)] : ["Held", held];
  return { type: "AdoptionRequired", status: "True", reason, message: `${why}. ${whatToDo(reason)}` };
}

function whatToDo(reason: string): string {
  const say = (side: string) => `annotate the SpectroProvisioningAgent with ${words.adopt}=${side}`;
  switch (reason) {
    case "AddressTaken":
      return "Free these addresses; it goes on by itself";
    case "MadeMeanwhile":
      return `Delete the cluster, which removes what is left of it in vCenter; or remove its unknown VMs there and ${say("gateway")}`;
    case "Rebuilding":
      return "It goes on by itself";
    default:
      return `It goes on by itself when its API answers or its mirror comes; if you know that the cluster manages itself, ${say("workload")}; if it never did, ${say("gateway")}`;
  }
}

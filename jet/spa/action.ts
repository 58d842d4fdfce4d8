// What a plan may ask for. Each is one write, or one thing outside, that may safely be done twice.
import { Secret, type Draft, type Kind, type Resource } from "#core";
import type { DesiredState } from "#proto";
import type { VmFacts } from "../ports.ts";
import type { SpaSeen } from "./seen.ts";
import { desiredState } from "./rendered.ts";

export type SpaAction =
  | { readonly do: "add finalizer" }
  | { readonly do: "remove finalizer" }
  /** Creates it where it is missing; with `hold`, keeps its fields as given. */
  | {
      readonly do: "apply";
      readonly on: "gateway" | "workload";
      readonly kind: Kind;
      readonly object: Draft<Resource>;
      readonly hold?: boolean;
    }
  /** Lays these fields over those of an object that is there; one that is gone stays gone. */
  | {
      readonly do: "amend";
      readonly on: "gateway" | "workload";
      readonly kind: Kind;
      readonly namespace?: string | undefined;
      readonly name: string;
      readonly spec: Readonly<Record<string, unknown>>;
    }
  | { readonly do: "delete"; readonly kind: Kind; readonly namespace?: string; readonly name: string }
  | { readonly do: "keep kubeconfig"; readonly text: Secret }
  | { readonly do: "install" }
  /** Copies the cluster's objects out of its own API, and brings its agent the key to do so by itself. */
  | { readonly do: "mirror" }
  /** Looks again whether it is known by now which side owns a cluster that is held. */
  | { readonly do: "settle" }
  | { readonly do: "deliver"; readonly desired: DesiredState; readonly counter: number }
  | { readonly do: "pivot"; readonly direction: "ToWorkload" | "ToGateway" }
  | { readonly do: "roll back" }
  | { readonly do: "resume pivot" }
  /** Brings the cluster's objects back from its mirror. */
  | { readonly do: "revive" }
  /** Takes away what is in its API of a cluster that the gateway has from its mirror. */
  | { readonly do: "clear ruins" }
  /** Takes a person's word off; `why` it came to nothing is told. */
  | { readonly do: "hear revive"; readonly why?: string }
  /** Wakes the Cluster on the gateway, with the credential in place. */
  | { readonly do: "wake" }
  | { readonly do: "pause" }
  /** Forgets Cluster API objects without touching their machines. */
  | { readonly do: "forget objects" }
  /** Takes the credential from the gateway's own controllers, and pauses them. */
  | { readonly do: "fence" }
  | { readonly do: "destroy"; readonly vms: readonly VmFacts[]; readonly why: string }
  /** `left`: VMs of which nobody could say whether they are gone. */
  | { readonly do: "say deleted"; readonly left: readonly string[]; readonly why?: string };

export function apply(kind: Kind, object: Draft<Resource>, hold = false): SpaAction {
  return { do: "apply", on: "gateway", kind, object, ...(hold ? { hold } : {}) };
}

export function keep(text: string): SpaAction {
  return { do: "keep kubeconfig", text: new Secret(text) };
}

export function deliverAction(seen: SpaSeen): SpaAction {
  return { do: "deliver", desired: desiredState(seen), counter: seen.spa.spec.counter };
}

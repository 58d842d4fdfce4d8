// Before anything is made: the wish, its places, its credential, its addresses, its template.
import type { ConditionDraft } from "#core";
import { ipAddressClaim } from "#proto";
import { controlPlanePlacement, poolText } from "#proto/render/addresses.ts";
import { deepestCause } from "../../causes.ts";
import { leaseClaim } from "../../render/lease.ts";
import { isBorn, type SpaSeen } from "../seen.ts";
import { endpointTaken, problemsText, roomProblems, specProblems } from "../problems.ts";
import { type Stage, condition, spaText } from "../stage.ts";
import { apply } from "../action.ts";
import { templateSeen } from "../rendered.ts";

/** Everything wrong with the wish, in one go: its text, its places, its credential, its pools. */
export function validate(seen: SpaSeen): Stage {
  if (isBorn(seen)) {
    return {
      kind: "done",
      conditions: [
        condition("SpecValid", "True", "Valid"),
        condition("CredentialsValid", "True", "Accepted"),
      ],
    };
  }
  const { cloud, credential } = seen;
  const { spec } = seen.spa;
  const problems = [
    ...specProblems(spec),
    ...endpointTaken(spec, seen.endpoint),
    ...roomProblems(seen.needs),
  ];
  problems.push(...(seen.etcd?.problems ?? []), ...(seen.images?.problems ?? []));
  if (cloud.kind === "answered") problems.push(...cloud.problems);
  const credentials = credentialCondition(seen);
  const unsure = cloud.kind === "failed" && credentials.status !== "False" ? cloud.fault : undefined;
  const valid: ConditionDraft =
    problems.length > 0
      ? condition(
          "SpecValid",
          "False",
          problems.length === 1 ? "ProblemFound" : "ProblemsFound",
          problemsText(problems),
        )
      : unsure || credential.kind === "missing" || credentials.status === "False"
        ? condition("SpecValid", "Unknown", "NotChecked", "the places could not be checked in vCenter yet")
        : condition("SpecValid", "True", "Valid");
  const conditions = [valid, credentials];
  if (problems.length > 0 || credentials.status === "False") {
    const texts = [
      ...(credentials.status === "False" ? [credentials.message] : []),
      ...(problems.length > 0 ? [problemsText(problems)] : []),
    ];
    const code = problems.length > 0 ? "Invalid" : "Unauthorized";
    return {
      kind: "open",
      conditions,
      trouble: { code, message: texts.join("; "), object: spaText(seen), blocked: true },
    };
  }
  if (unsure) {
    return {
      kind: "open",
      conditions,
      trouble: { code: unsure.code, message: unsure.message, object: spaText(seen) },
    };
  }
  return { kind: "done", conditions };
}

function credentialCondition({ credential, cloud, spa }: SpaSeen): ConditionDraft {
  const type = "CredentialsValid";
  if (credential.kind === "missing") return condition(type, "False", "SecretMissing", credential.message);
  if (cloud.kind === "failed" && (cloud.fault.code === "Unauthorized" || cloud.fault.code === "Forbidden")) {
    return condition(
      type,
      "False",
      "Refused",
      `vCenter ${spa.spec.cloud.server} refuses user ${credential.username}: ${cloud.fault.message}; correct the password in Secret ${spa.spec.cloud.credentialRef.name}`,
    );
  }
  if (cloud.kind === "failed") return condition(type, "Unknown", "NotChecked", cloud.fault.message);
  return condition(type, "True", "Accepted");
}

/** Addresses for all nodes, the API and the spares: claimed from the parents, then gathered in pools of the cluster's own. */
export function reserve(seen: SpaSeen): Stage {
  const missing = seen.needs.flatMap(({ need, leases }) =>
    leases.filter((lease) => !lease.claim).map((lease) => ({ need, at: lease.at })),
  );
  if (missing.length > 0 && seen.side !== "none") {
    return {
      kind: "open",
      conditions: [
        condition("AddressesReserved", "False", "Claiming", `claiming ${missing.length} addresses`),
      ],
      actions: missing.map(({ need, at }) => apply(ipAddressClaim, leaseClaim(seen.spa.spec, need, at))),
    };
  }
  const all = seen.needs.flatMap((n) => n.leases);
  const bare = all.filter((lease) => !lease.address);
  if (bare.length > 0) {
    const first = bare[0]!;
    const why = exhausted(seen) ?? (first.claim && deepestCause([first.claim]));
    const message = `${bare.length} of ${all.length} claimed addresses have not come yet${why?.failed ? `: ${why.message}` : ""}`;
    return {
      kind: "open",
      conditions: [condition("AddressesReserved", "False", "WaitingForAddresses", message)],
      progress: { done: all.length - bare.length, total: all.length },
      ...(why?.failed
        ? { trouble: { code: why.code, message, object: `IPAddressClaim/${first.at.name}` }, waiting: true }
        : {}),
    };
  }
  return {
    kind: "done",
    conditions: [
      condition(
        "AddressesReserved",
        "True",
        "Reserved",
        all.length > 0 ? `${all.length} addresses` : "addresses come from DHCP",
      ),
    ],
  };
}

/** A parent pool that has run out of addresses while we wait for some. */
function exhausted({
  needs,
}: SpaSeen): { readonly code: string; readonly message: string; readonly failed: true } | undefined {
  const empty = needs.find(
    ({ room, leases }) => room !== undefined && room.free <= 0 && leases.some((lease) => !lease.address),
  );
  if (!empty) return undefined;
  const message = `pool "${poolText(empty.need.parent)}" has no free address left; add addresses to it`;
  return { code: "PoolExhausted", message, failed: true };
}

/** A template to clone from. */
export function image(seen: SpaSeen): Stage {
  const type = "ImageResolutionDone";
  const template = templateSeen(seen);
  if (template) return { kind: "done", conditions: [condition(type, "True", "ImageResolved", template)] };
  const folder = controlPlanePlacement(seen.spa.spec).imageTemplateFolder;
  const wish = seen.spa.spec.image.template
    ? `the template "${seen.spa.spec.image.template}"`
    : `a template for Kubernetes ${seen.spa.spec.kubernetesVersion}${folder ? ` in folder "${folder}"` : ""}`;
  const message = `vCenter has no ${wish.replace(/^(the|a) /, "")}; import one, or name it in image.template`;
  return {
    kind: "open",
    conditions: [condition(type, "False", "LocatingBaseImage", message)],
    trouble: { code: "NotFound", message, object: spaText(seen), blocked: true },
  };
}

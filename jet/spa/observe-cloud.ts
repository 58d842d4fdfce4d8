// What the datacenter says: are the places there, which template fits, which VMs are left.
import { Fault, isFault } from "#core";
import type { Spa } from "#proto";
import { controlPlanePlacement } from "#proto/render/addresses.ts";
import { roleOf } from "../ledger.ts";
import type { Cloud, JetDeps } from "../ports.ts";
import { type CloudSeen, type CredentialSeen, placementsOf, imageWish, type SpaSeen } from "./seen.ts";

/** Remembers the datacenter's answer for a while, so that every wake-up is not a login. */
export interface CloudMemory {
  get(
    key: string,
  ): { readonly question: string; readonly at: number; readonly answer: CloudSeen } | undefined;
  set(
    key: string,
    value: { readonly question: string; readonly at: number; readonly answer: CloudSeen },
  ): void;
}

function cloudOf(deps: JetDeps, found: Spa, credential: CredentialSeen): Cloud | undefined {
  return credential.kind === "found" ? deps.cloudFor(found.spec.cloud, credential) : undefined;
}

/** Good answers are kept 5 s, bad ones until the SPA's next try; a change of the wish or of the credential asks at once. */
export async function askCloud(
  deps: JetDeps,
  memory: CloudMemory,
  key: string,
  found: Spa,
  credential: CredentialSeen,
  signal: AbortSignal,
): Promise<CloudSeen> {
  const cloud = cloudOf(deps, found, credential);
  if (!cloud || credential.kind !== "found") return { kind: "unasked" };
  const question = `${found.metadata.generation}/${credential.version}`;
  const old = memory.get(key);
  const now = deps.clock.now();
  if (old?.question === question) {
    const retryAt = found.status?.milestones?.find((m) => m.key === "ImageResolutionDone")?.nextRetryAt;
    const good = old.answer.kind === "answered" && old.answer.problems.length === 0 && old.answer.template;
    const until = good ? old.at + 5_000 : retryAt ? Date.parse(retryAt) : old.at + 1_000;
    if (now < until) return old.answer;
  }
  const answer = await ask();
  memory.set(key, { question, at: now, answer });
  return answer;

  async function ask(): Promise<CloudSeen> {
    try {
      const problems = await cloud!.check(placementsOf(found), imageWish(found), signal);
      const template =
        problems.length > 0
          ? undefined
          : await cloud!.findTemplate(controlPlanePlacement(found.spec), imageWish(found), signal);
      const thumbprint =
        template && !found.spec.cloud.thumbprint ? await cloud!.thumbprint?.(signal) : undefined;
      return { kind: "answered", problems, template: template?.path, thumbprint };
    } catch (error) {
      if (isFault(error, "Cancelled")) throw error;
      return { kind: "failed", fault: Fault.from(error, `asking vCenter ${found.spec.cloud.server}`) };
    }
  }
}

/** The last answer for each vCenter and authority. */
export type CertificateMemory = Map<string, { readonly at: number; readonly thumbprint: string | undefined }>;

const certificateMs = 60_000;

/**
 * The certificate that vCenter shows now, where an authority vouches for it and nobody pins one: it may be renewed at any time, and
 * CAPV pins it. Undefined where it cannot be told now: then what was written down stays.
 */
export async function askCertificate(
  deps: JetDeps,
  memory: CertificateMemory,
  found: Spa,
  credential: CredentialSeen,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { server, thumbprint, caCert } = found.spec.cloud;
  if (thumbprint || !caCert) return undefined;
  const key = `${server}\n${caCert}`;
  const now = deps.clock.now();
  const old = memory.get(key);
  if (old && now < old.at + certificateMs) return old.thumbprint;
  const told = await cloudOf(deps, found, credential)
    ?.thumbprint?.(signal)
    .catch(() => undefined);
  signal.throwIfAborted();
  memory.set(key, { at: now, thumbprint: told });
  return told;
}

/** The VMs of the cluster that exist, by its ledger and by its addresses. */
export async function countStrays(
  deps: JetDeps,
  asked: Pick<SpaSeen, "names" | "credential" | "ledger" | "needs"> & { readonly found: Spa },
  signal: AbortSignal,
): Promise<SpaSeen["strays"]> {
  const { found, names, credential, ledger } = asked;
  const cloud = cloudOf(deps, found, credential);
  if (!cloud)
    return {
      kind: "failed",
      fault: new Fault("Unauthorized", credential.kind === "missing" ? credential.message : ""),
    };
  const addresses = asked.needs.flatMap(({ leases }) =>
    leases.flatMap(({ address }) => (address ? [address.address] : [])),
  );
  const leased = { prefix: `${names.cluster}-`, addresses };
  try {
    const vms = await cloud.census(
      {
        placements: ledger.places,
        biosUUIDs: ledger.vms.flatMap((vm) => (vm.biosUUID ? [vm.biosUUID] : [])),
        names: ledger.vms.map((vm) => vm.name),
        leased,
      },
      signal,
    );
    const ours = vms.flatMap((vm) => {
      const role = roleOf(vm, ledger, leased);
      return role ? [{ ...vm, role }] : [];
    });
    return { kind: "counted", vms: ours };
  } catch (error) {
    if (isFault(error, "Cancelled")) throw error;
    return {
      kind: "failed",
      fault: Fault.from(error, `counting the VMs of ${names.cluster} in ${found.spec.cloud.server}`),
    };
  }
}

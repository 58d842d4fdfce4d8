// Puts the providers of a bundle into a workload cluster, and finds out whether they answer there.
import { apiVersionOf, Fault, isFault, Secret, serverSideOf, type Clock, type ResourceStore } from "#core";
import { applyObject } from "#core/store/helpers.ts";
import { secret, secretText } from "#proto";
import { contentHash } from "#proto/render/shape.ts";
import { renewalAt, servingCertificate, type ServingCertificate } from "./certificate.ts";
import {
  certificateName,
  providerDeployments,
  providerNamespace,
  providerObjects,
  webhookHosts,
  type ProviderManifests,
} from "./objects.ts";
import { probesIn } from "./probes.ts";
import { judgeChange, type Versions } from "../upgrade.ts";
import { providerNames } from "../versions.ts";

/** Where a cluster's images come from. */
export interface Images {
  /** A registry, perhaps with a path, in place of the images' own. */
  readonly mirror?: string | undefined;
  /** A Docker config (JSON) with the logins of the registry; its version changes when it does. */
  readonly pullSecret?: { readonly config: Secret; readonly version: string } | undefined;
}

/** As the manager of the fields that it applies. */
const manager = "pcg-gateway";

/** In place of what is secret, or another every year, when only sameness counts. */
const blank = new Secret("");
const blankCertificate: ServingCertificate = { certificate: "", key: blank, authorities: "" };

/** The providers of a bundle, for any number of workload clusters. */
export function bundledProviders(manifests: ProviderManifests, clock: Clock) {
  const manifestsDigest = contentHash(manifests);
  const bare = Object.fromEntries(
    providerNames.map((name) => [name, { ...manifests[name], crds: [], webhooks: [] }]),
  ) as unknown as ProviderManifests;
  const release = releaseText({ capi: manifests.core.version, capv: manifests.infrastructure.version });
  return {
    deployments: providerDeployments,
    release,

    /** Older programs do not read what newer ones have written, and too much at once is not made for. */
    refuses(installed: string): string | undefined {
      const [from, to] = [versionsIn(installed), versionsIn(release)];
      const change = from && to && judgeChange(from, to);
      if (change?.kind !== "refused") return undefined;
      const what = change.problems.join(", ");
      return change.back
        ? `the cluster has newer providers than this gateway: ${what}; they stay. Install the newer gateway again`
        : `the cluster's providers are too old for this gateway's: ${what}. Let a gateway of a version in between upgrade them first`;
    },

    crds: Object.values(manifests).flatMap(({ crds }) => crds.map((crd) => crd.metadata.name)),

    /** Another one whenever `install` would write other things; certificates do not count. */
    digest({ mirror, pullSecret }: Images): string {
      const wish = { mirror, certificate: blankCertificate, ...(pullSecret ? { pullSecret: blank } : {}) };
      const objects = providerObjects(bare, wish)
        .flat()
        .map(({ object }) => object);
      return contentHash([manifestsDigest, objects, pullSecret?.version ?? ""]);
    },

    /** Applies everything in order, and renews the certificate where that is due; says when it is due next. Twice is once. */
    async install(to: ResourceStore, images: Images, signal: AbortSignal): Promise<{ renewAt: number }> {
      const certificate = await servingCertificate(await presentCertificate(to), webhookHosts, clock);
      const wish = { mirror: images.mirror, pullSecret: images.pullSecret?.config, certificate };
      const server = serverSideOf(to);
      for (const wave of providerObjects(manifests, wish)) {
        await sixAtATime(wave, async ({ kind, object }) => {
          signal.throwIfAborted();
          await (server ? server.apply(kind, object, manager) : applyObject(to, kind, object));
        });
      }
      return { renewAt: renewalAt(certificate.certificate) };
    },

    /** What does not answer, in words; undefined when every webhook does. Only to be asked when the Deployments are available. */
    async silent(at: ResourceStore, signal: AbortSignal): Promise<string | undefined> {
      const server = serverSideOf(at);
      if (!server) return undefined; // no server, no webhooks
      for (const { kind, object } of probesIn(providerNamespace)) {
        try {
          await server.tryCreate(kind, object, signal);
        } catch (error) {
          // A refusal is an answer; the trial need not succeed.
          if (isFault(error, "Invalid", "Forbidden", "AlreadyExists", "Conflict")) continue;
          signal.throwIfAborted();
          const version = apiVersionOf(kind);
          return `${kind.kind} (${version}) cannot be written yet: ${Fault.from(error).message}`;
        }
      }
      return undefined;
    },
  };
}

/** An API server that starts is not helped by forty. All end before the first failure is told. */
async function sixAtATime<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  const ends = await Promise.allSettled(Array.from({ length: 6 }, worker));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed) throw failed.reason;
}

function releaseText({ capi, capv }: { readonly capi: string; readonly capv: string }): string {
  return `Cluster API ${capi}, CAPV ${capv}`;
}

/** As `judgeChange` wants them; what such a release does not say counts as unchanged. Undefined for any other text. Pure. */
function versionsIn(release: string): Versions | undefined {
  const [, capi, capv] = /^Cluster API (\S+), CAPV (\S+)$/.exec(release) ?? [];
  return capi && capv ? { etcd: "", kubernetes: "", capi, capv } : undefined;
}

async function presentCertificate(at: ResourceStore): Promise<ServingCertificate | undefined> {
  const object = await at.get(secret, { namespace: providerNamespace, name: certificateName });
  const [certificate, key, authorities] = ["tls.crt", "tls.key", "ca.crt"].map((part) =>
    secretText(object, part),
  );
  if (!certificate || !key || !authorities) return undefined;
  return { certificate, key: new Secret(key), authorities };
}

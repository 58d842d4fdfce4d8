// An SPA as it must be for a cluster of which there is only the mirror: it manages itself, and its wish is the mirror's. Pure.
import { apiVersionOf, formatTime, type Draft, type Resource } from "#core";
import {
  cluster,
  encode64,
  inClusterIPPool,
  secret,
  secretText,
  spa,
  type SecretObject,
  type Spa,
  type SpaSpec,
  type SpaStatus,
} from "#proto";
import { machineStatuses } from "#proto/render/machines.ts";
import { clusterNames, words } from "#proto/render/names.ts";
import { newJournal, type PivotJournal } from "../pivot/journal.ts";
import type { Mirrored } from "../ports.ts";
import { keptKubeconfigName } from "../spa/seen.ts";

/** The gateway's wish: the agent's, with how this site reaches its vCenter, and without the endpoint where that is a lease of ours. */
export function specOf({ desired, counter, objects }: Mirrored, cloud: SpaSpec["cloud"]): SpaSpec {
  const { thumbprint } = desired.cloud;
  const { host, ...endpoint } = desired.network.endpoint;
  const leased = objects.some(
    (o) => o.kind === inClusterIPPool.kind && o.metadata.annotations?.[words.leasedEndpoint] === host,
  );
  return {
    ...desired,
    counter,
    cloud: { ...cloud, ...(thumbprint && cloud.thumbprint === undefined ? { thumbprint } : {}) },
    network: {
      ...desired.network,
      endpoint: host === undefined || leased ? endpoint : { host, ...endpoint },
    },
  };
}

export function spaOf(mirrored: Mirrored, cloud: SpaSpec["cloud"]): Draft<Spa> {
  const { uid, namespace } = namesOf(mirrored);
  return {
    apiVersion: apiVersionOf(spa),
    kind: spa.kind,
    metadata: {
      name: mirrored.clusterName,
      namespace,
      labels: { [words.clusterUid]: uid },
      finalizers: [words.spaFinalizer],
    },
    spec: specOf(mirrored, cloud),
  };
}

/** The journal of a hand-over that ended long ago. */
export function doneJournal(id: string, epoch: number, now: number): PivotJournal {
  const at = formatTime(now);
  return { ...newJournal("ToWorkload", id, epoch, now), step: "Done", sourceFenced: true, committedAt: at };
}

/** Running: silence of a cluster that ran takes nothing back. */
export function statusOf({ objects, decision }: Mirrored, now: number): SpaStatus {
  const whole = objects.find((o) => o.kind === cluster.kind)?.spec as
    { controlPlaneEndpoint?: { host?: string; port?: number } } | undefined;
  const { host, port } = whole?.controlPlaneEndpoint ?? {};
  return {
    state: "Running",
    pivot: doneJournal(decision.id, decision.epoch, now),
    activeSide: { side: "workload", epoch: decision.epoch },
    machines: machineStatuses(objects),
    ...(host && port ? { endpoint: { host, port } } : {}),
  };
}

/** The gateway's own copy of the kubeconfig; undefined where the mirror lacks it. */
export function kubeconfigOf(mirrored: Mirrored): (Draft<Resource> & { readonly data: object }) | undefined {
  const { uid, namespace, kubeconfig } = namesOf(mirrored);
  const object = mirrored.objects.find((o) => o.kind === secret.kind && o.metadata.name === kubeconfig);
  const text = secretText(object as SecretObject | undefined, "value");
  if (text === undefined) return undefined;
  return {
    metadata: {
      name: keptKubeconfigName,
      namespace,
      labels: { [words.clusterUid]: uid, [words.stays]: "true" },
    },
    data: { value: encode64(text) },
  };
}

export function namesOf({ clusterUid, clusterName }: Pick<Mirrored, "clusterUid" | "clusterName">) {
  return clusterNames(clusterUid, clusterName);
}

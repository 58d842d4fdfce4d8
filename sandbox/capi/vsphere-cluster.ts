// CAPV's VSphereCluster controller: owns the identity Secret, logs in, says whether vCenter answers.
import { Fault, isDeleting, keyOf, ownerOf, type Controller } from "#core";
import {
  cluster as clusterKind,
  secret as secretKind,
  vsphereCluster,
  vsphereMachine,
  vsphereVM,
  type Cluster,
  type VSphereCluster,
} from "#proto";
import {
  no,
  oldNo,
  oldSummary,
  oldYes,
  part,
  summary,
  withConditions,
  withOldConditions,
  yes,
  type Draft,
} from "./conditions.ts";
import { hasPausedAnnotation, keyIn, now, ofCluster, pausedCondition, type CapiDeps } from "./context.ts";
import { controllerOf, follow, later } from "./controller.ts";
import { addFinalizer, addOwner, dropFinalizer, edit, editStatus, remove } from "./edit.ts";
import { finalizers, secretType } from "./names.ts";
import { sessionFor } from "./session.ts";

const order = ["Ready", "VCenterAvailable", "Paused"];

export function vsphereClusterController(deps: CapiDeps): Controller {
  const { store } = deps;
  return controllerOf(deps, {
    name: "capv-vspherecluster",
    kind: vsphereCluster,
    follows: [
      follow(clusterKind, (cluster) => {
        const name = cluster.spec.infrastructureRef?.name;
        return name ? [keyIn(cluster, name)] : [];
      }),
      follow(secretKind, async (secret) => {
        if (secret.type === secretType) return []; // certificates and bootstrap data, never an identity
        const { items } = await store.list(vsphereCluster, { namespace: secret.metadata.namespace ?? "" });
        return items.filter((c) => c.spec.identityRef?.name === secret.metadata.name).map(keyOf);
      }),
    ],
    async round(object, signal) {
      const owner = ownerOf(object, clusterKind);
      const cluster = owner ? await store.get(clusterKind, keyIn(object, owner.name)) : undefined;
      if (!cluster) return {};
      const paused = pausedCondition("VSphereCluster", cluster, object);
      if (cluster.spec.paused || hasPausedAnnotation(object)) {
        await report(deps, object, [paused]);
        return {};
      }
      if (isDeleting(object)) return removeCluster(deps, object, cluster);
      await edit(store, vsphereCluster, object, (o) => addFinalizer(o, finalizers.vsphereCluster));
      try {
        await claimIdentity(deps, object);
        const vms = await sessionFor(deps, object, signal);
        await vms.check(signal);
        await report(deps, object, [yes("VCenterAvailable", "Available"), paused], vms.version);
        return later(deps.knobs.healthMs);
      } catch (error) {
        const fault = Fault.from(error);
        if (fault.code === "Cancelled") throw fault;
        await report(deps, object, [no("VCenterAvailable", "VCenterUnreachable", fault.message), paused]);
        throw fault.code === "Invalid" ? new Fault("Unavailable", fault.message, { cause: fault }) : fault;
      }
    },
  });
}

/** The Secret that identityRef names, with CAPV's finalizer and the VSphereCluster among its owners. */
async function claimIdentity(deps: CapiDeps, object: VSphereCluster): Promise<void> {
  const { identityRef } = object.spec;
  if (identityRef?.kind !== "Secret") return;
  await edit(deps.store, secretKind, keyIn(object, identityRef.name), (secret) => {
    addOwner(secret, vsphereCluster, object);
    addFinalizer(secret, finalizers.identity);
  });
}

async function report(
  deps: CapiDeps,
  object: VSphereCluster,
  drafts: readonly Draft[],
  version?: string,
): Promise<void> {
  const at = now(deps);
  await editStatus(deps.store, vsphereCluster, object, (o) => {
    const { generation } = o.metadata;
    const status = (o.status ??= {});
    status.conditions = withConditions(status.conditions, drafts, order, generation, at);
    const available = drafts.find((d) => d.type === "VCenterAvailable");
    if (!available) return;
    const ready = summary("Ready", [part(status.conditions, "VCenterAvailable")]);
    status.conditions = withConditions(status.conditions, [ready], order, generation, at);
    const old =
      available.status === "True"
        ? oldYes("VCenterAvailable")
        : oldNo("VCenterAvailable", "Error", available.reason, available.message);
    const conditions = withOldConditions(
      status.deprecated?.v1beta1?.conditions,
      [oldSummary([old]), old],
      at,
    );
    status.deprecated = { v1beta1: { conditions } };
    if (available.status === "True") status.initialization = { provisioned: true };
    if (version) status.vCenterVersion = version;
  });
}

/** Waits for the machines, then lets the identity Secret go, then itself. */
async function removeCluster(deps: CapiDeps, object: VSphereCluster, cluster: Cluster) {
  const { store } = deps;
  const left = [
    ...(await ofCluster(deps, vsphereMachine, cluster)),
    ...(await ofCluster(deps, vsphereVM, cluster)),
  ];
  if (left.length > 0) return later(deps.knobs.pollMs);
  const { identityRef } = object.spec;
  if (identityRef?.kind === "Secret") {
    const secret = await edit(store, secretKind, keyIn(object, identityRef.name), (s) =>
      dropFinalizer(s, finalizers.identity),
    );
    if (secret && ownerOf(secret, vsphereCluster)?.uid === object.metadata.uid)
      await remove(store, secretKind, secret);
  }
  await edit(store, vsphereCluster, object, (o) => dropFinalizer(o, finalizers.vsphereCluster));
  return {};
}

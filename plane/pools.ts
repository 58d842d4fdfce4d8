// Changes of an entity's machine pools. Pure; whether the result makes sense is for `specOf` to say.
import { notFound, Refusal } from "./refusal.ts";
import type { ClusterEntity, MachinePoolEntity } from "./rest/shapes.ts";

export function addPool(entity: ClusterEntity, pool: MachinePoolEntity): ClusterEntity {
  const name = pool.poolConfig?.name;
  if (name && poolsOf(entity).some((p) => p.poolConfig?.name === name)) {
    throw new Refusal("AlreadyExists", "DuplicateName", `the cluster has a machine pool '${name}' already`);
  }
  return withPools(entity, [...poolsOf(entity), pool]);
}

/** The pool keeps its name, and its role where the new configuration does not say it. */
export function replacePool(entity: ClusterEntity, name: string, pool: MachinePoolEntity): ClusterEntity {
  const old = poolsOf(entity).find((p) => p.poolConfig?.name === name);
  if (!old) throw notFound("machine pool", name);
  const isControlPlane = pool.poolConfig?.isControlPlane ?? old.poolConfig?.isControlPlane;
  const cloudConfig = { ...old.cloudConfig, ...present(pool.cloudConfig ?? {}) };
  const next = { cloudConfig, poolConfig: { ...pool.poolConfig, name, isControlPlane } };
  return withPools(
    entity,
    poolsOf(entity).map((p) => (p === old ? next : p)),
  );
}

export function removePool(entity: ClusterEntity, name: string): ClusterEntity {
  const kept = poolsOf(entity).filter((p) => p.poolConfig?.name !== name);
  if (kept.length === poolsOf(entity).length) throw notFound("machine pool", name);
  return withPools(entity, kept);
}

function poolsOf(entity: ClusterEntity): readonly MachinePoolEntity[] {
  return entity.spec.machinepoolconfig ?? [];
}

function withPools(entity: ClusterEntity, machinepoolconfig: MachinePoolEntity[]): ClusterEntity {
  return { ...entity, spec: { ...entity.spec, machinepoolconfig } };
}

function present<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(value).filter(([, v]) => v !== undefined && v !== null),
  ) as Partial<T>;
}

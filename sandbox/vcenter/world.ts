// The state of the simulated datacenter: entities by reference, all plain JSON, and who wants to hear of changes.
//   V1. Everything that outlives a restart is in `state`; what belongs to a session or a running task is not.
//   V2. Whoever changes an entity calls `changed()` afterwards; waiting collectors look again then. What is no part of the state (a
//       task's progress) only `stirs`: collectors look, but there is nothing to keep.
import type { Entity, EntityOf, VcenterState } from "./entities.ts";

export interface WorldOptions {
  readonly uuid: () => string;
  readonly now: () => number;
}

export class World {
  readonly state: VcenterState;
  readonly #options: WorldOptions;
  readonly #listeners = new Set<() => void>();
  readonly #keepers = new Set<() => void>();
  readonly #children = new Map<string, Set<string>>();

  constructor(state: VcenterState, options: WorldOptions) {
    this.state = state;
    this.#options = options;
    for (const entity of Object.values(state.entities)) this.#link(entity);
  }

  get rootId(): string {
    return "group-d1";
  }
  now(): number {
    return this.#options.now();
  }
  uuid(): string {
    return this.#options.uuid();
  }

  /** Calls `listener` after each change of the state and each stir. Answers with the way to stop. */
  onStir(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Calls `listener` after each change of the state. */
  onChange(listener: () => void): () => void {
    this.#keepers.add(listener);
    return () => void this.#keepers.delete(listener);
  }

  changed(): void {
    for (const listener of [...this.#keepers]) listener();
    this.stirred();
  }

  stirred(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  get(id: string): Entity | undefined {
    return this.state.entities[id];
  }

  /** The entity when it is there and of one of these types. */
  as<T extends Entity["type"]>(id: string | undefined, ...types: readonly T[]): EntityOf<T> | undefined {
    const entity = id === undefined ? undefined : this.get(id);
    return entity && types.includes(entity.type as T) ? (entity as EntityOf<T>) : undefined;
  }

  all<T extends Entity["type"]>(...types: readonly T[]): EntityOf<T>[] {
    return Object.values(this.state.entities).filter((entity): entity is EntityOf<T> =>
      types.includes(entity.type as T),
    );
  }

  children(id: string): Entity[] {
    return [...(this.#children.get(id) ?? [])].flatMap((child) => this.get(child) ?? []);
  }

  nextId(prefix: string): string {
    return `${prefix}-${++this.state.serial}`;
  }

  add<E extends Entity>(entity: E): E {
    this.state.entities[entity.id] = entity;
    this.#link(entity);
    return entity;
  }

  remove(id: string): void {
    const entity = this.get(id);
    if (!entity) return;
    this.#children.get(entity.parent ?? "")?.delete(id);
    delete this.state.entities[id];
  }

  move(entity: Entity, parent: string): void {
    this.#children.get(entity.parent ?? "")?.delete(entity.id);
    entity.parent = parent;
    this.#link(entity);
  }

  /** "/DC0/vm/folder/machine"; "/" for the root. */
  path(id: string): string {
    const names: string[] = [];
    for (let at = this.get(id); at && at.id !== this.rootId; at = at.parent ? this.get(at.parent) : undefined)
      names.unshift(at.name);
    return `/${names.join("/")}`;
  }

  byPath(path: string): Entity | undefined {
    let at = this.get(this.rootId);
    for (const name of path.split("/").filter(Boolean)) {
      if (!at) return undefined;
      at = this.children(at.id).find((child) => child.name === name);
    }
    return at;
  }

  /** The nearest ancestor of a type, the entity itself included. */
  ancestor<T extends Entity["type"]>(id: string, type: T): EntityOf<T> | undefined {
    for (let at = this.get(id); at; at = at.parent ? this.get(at.parent) : undefined)
      if (at.type === type) return at as EntityOf<T>;
    return undefined;
  }

  /** Everything below an entity, parents before children. */
  below(id: string): Entity[] {
    return this.children(id).flatMap((child) => [child, ...this.below(child.id)]);
  }

  #link(entity: Entity): void {
    if (entity.parent === undefined) return;
    const children = this.#children.get(entity.parent) ?? new Set();
    children.add(entity.id);
    this.#children.set(entity.parent, children);
  }
}

/** In the range that VMware gives to generated addresses; unique as long as the world lives. */
export function macAddress(world: World): string {
  const serial = ++world.state.serial;
  const bytes = [0x00, 0x50, 0x56, 0x80 | ((serial >> 16) & 0x3f), (serial >> 8) & 0xff, serial & 0xff];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

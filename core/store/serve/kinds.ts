// The kinds a face serves, found by the words of a path.
import { apiVersionOf, groupResource, type Kind } from "../../resource/kind.ts";

/** What is served. Several versions of one kind are several kinds here, over the same objects. */
export class ServedKinds {
  #kinds = new Map<string, Kind>();
  #stamp = 0;

  /** Adds kinds; one that is there already (same group, version and plural) is replaced. */
  add(kinds: readonly Kind[]): void {
    for (const kind of kinds) this.#kinds.set(`${apiVersionOf(kind)}/${kind.plural}`, kind);
    this.#stamp++;
  }

  find(group: string, version: string, plural: string): Kind | undefined {
    return this.#kinds.get(`${apiVersionOf({ group, version })}/${plural}`);
  }

  get all(): readonly Kind[] {
    return [...this.#kinds.values()];
  }

  /** Rises with every change: part of the discovery documents' ETag. */
  get stamp(): number {
    return this.#stamp;
  }

  /** The kinds of one group and version, by plural. */
  of(group: string, version: string): Kind[] {
    return this.all
      .filter((kind) => kind.group === group && kind.version === version)
      .sort((a, b) => (a.plural < b.plural ? -1 : 1));
  }

  /** All groups, the core one as "", each with its versions, the preferred first. */
  get groups(): { readonly name: string; readonly versions: readonly string[] }[] {
    const groups = new Map<string, Set<string>>();
    for (const kind of this.all) {
      groups.set(kind.group, (groups.get(kind.group) ?? new Set()).add(kind.version));
    }
    return [...groups].map(([name, versions]) => ({ name, versions: [...versions].sort(byPriority) }));
  }

  /** The names of everything served, for a message to someone who asked for something else. */
  get names(): string[] {
    return [...new Set(this.all.map(groupResource))].sort();
  }
}

/**
 * Versions as Kubernetes ranks them: stable before beta before alpha, higher numbers first; other words last, by letter.
 * (CustomResourceDefinition versioning, "Version priority".)
 */
export function byPriority(a: string, b: string): number {
  const [left, right] = [rank(a), rank(b)];
  for (const [at, value] of left.entries()) {
    const difference = (right[at] ?? 0) - value;
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

function rank(version: string): readonly number[] {
  const parts = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (!parts) return [0, 0, 0];
  const stability = parts[2] === undefined ? 3 : parts[2] === "beta" ? 2 : 1;
  return [stability, Number(parts[1]), Number(parts[3] ?? 0)];
}

const builtInGroups = new Set([
  "admissionregistration.k8s.io",
  "apiextensions.k8s.io",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "certificates.k8s.io",
  "coordination.k8s.io",
  "discovery.k8s.io",
  "events.k8s.io",
  "networking.k8s.io",
  "node.k8s.io",
  "rbac.authorization.k8s.io",
  "scheduling.k8s.io",
  "storage.k8s.io",
]);

/** True for kinds that kubectl has compiled in. It sends them strategic merge patches; other kinds get JSON merge patches. */
export function isBuiltIn(kind: Pick<Kind, "group">): boolean {
  return !kind.group.includes(".") || builtInGroups.has(kind.group);
}

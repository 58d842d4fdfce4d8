// Options are told once; flags, environment, file, OVF properties, help and reference all follow from this one value.
//
//   path in the schema        flag               environment          file              OVF property
//   plane.url                 --plane-url        PCG_PLANE_URL        plane.url         plane.url
//   ipam.reuseAfter           --ipam-reuse-after PCG_IPAM_REUSE_AFTER ipam.reuseAfter   ipam.reuseAfter
import type { Parser } from "./parsers.ts";

export interface About {
  /** One sentence for people: what it is, and its unit. */
  readonly help: string;
  /** Name of the environment variable where it is not the usual one; false: the environment cannot set it. */
  readonly env?: string | false;
  /** Label in the form that a vSphere user fills when deploying the appliance; absent: not in that form. */
  readonly ovf?: string;
}

export interface Option<T = unknown> {
  readonly kind: "option";
  readonly parser: Parser<unknown>;
  readonly about: About;
  /** The default as a user would write it. */
  readonly default: string | undefined;
  readonly presence: "required" | "optional" | "defaulted";
  /** Never set; carries T for the compiler. */
  readonly _type?: T;
}

export interface OptionalOption<T = unknown> extends Option<T> {
  readonly presence: "optional";
}

/** A setting. It must be given, unless `about` has a default (as a user would write it) or says that it is optional. */
export function option<T>(parser: Parser<T>, about: About & { readonly optional: true }): OptionalOption<T>;
export function option<T>(parser: Parser<T>, about: About & { readonly default?: string }): Option<T>;
export function option<T>(
  parser: Parser<T>,
  about: About & { readonly default?: string; readonly optional?: true },
): Option<T> {
  return {
    kind: "option",
    parser,
    about,
    default: about.default,
    presence: about.default !== undefined ? "defaulted" : about.optional ? "optional" : "required",
  };
}

export type Members = { readonly [name: string]: Option | Group };

export interface Group<M extends Members = Members> {
  readonly kind: "group";
  readonly members: M;
  readonly help: string | undefined;
}

/** Settings that belong together, under one name. */
export function group<M extends Members>(members: M, help?: string): Group<M> {
  return { kind: "group", members, help };
}

type OptionalNames<M> = { [K in keyof M]: M[K] extends OptionalOption ? K : never }[keyof M];

/** The type of the loaded settings. */
export type Infer<N> =
  N extends Group<infer M>
    ? { readonly [K in Exclude<keyof M, OptionalNames<M>>]: Infer<M[K]> } & {
        readonly [K in OptionalNames<M>]?: Infer<M[K]>;
      }
    : N extends Option<infer T>
      ? T
      : never;

/** One option with all its names. */
export interface Leaf {
  readonly path: readonly string[];
  readonly option: Option;
  /** "plane.url": the path in the file, and the OVF key. */
  readonly name: string;
  /** "--plane-url". */
  readonly flag: string;
  /** "PCG_PLANE_URL"; undefined where the environment cannot set it. */
  readonly env: string | undefined;
}

/** All options in the order of the schema. */
export function leaves(schema: Group, envPrefix = "PCG"): Leaf[] {
  const found: Leaf[] = [];
  const walk = (node: Group, path: readonly string[]) => {
    for (const [name, member] of Object.entries(node.members)) {
      const here = [...path, name];
      if (member.kind === "group") walk(member, here);
      else found.push(leaf(here, member, envPrefix));
    }
  };
  walk(schema, []);
  return found;
}

function leaf(path: readonly string[], option: Option, envPrefix: string): Leaf {
  const words = path.map(kebab);
  const usualEnv = [envPrefix, ...words].join("_").replaceAll("-", "_").toUpperCase();
  const env = option.about.env === false ? undefined : (option.about.env ?? usualEnv);
  return { path, option, name: path.join("."), flag: `--${words.join("-")}`, env };
}

function kebab(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, "$1-$2").toLowerCase();
}

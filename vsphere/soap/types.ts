// TypeScript types, derived from the type table. Nothing here exists at run time.
//
//   Read<"VirtualMachineConfigInfo">     as it comes from the server: arrays always there, `$type` says which subtype it is
//   Write<"VirtualMachineCloneSpec">     as a caller writes it: arrays may be left out, `$type` only for a subtype
//   Property<"VirtualMachine", "config.hardware.numCPU">   what a property path yields
import type { dataTypes, enums, managedTypes, methods } from "./table.ts";

/** A reference to a managed object: what a vCenter calls vm-42. */
export interface Ref {
  readonly type: string;
  readonly value: string;
}

/** A value whose type the table does not know. Every child is an array, since nothing says which are. */
export interface Tagged {
  readonly $type: string;
  readonly $text: string;
  readonly $fields: Readonly<Record<string, readonly unknown[]>>;
}

type Rows = typeof dataTypes;
type Enums = typeof enums;
type Managed = typeof managedTypes;
type Methods = typeof methods;

export type TypeName = keyof Rows;
export type ManagedName = keyof Managed;
export type MethodName = keyof Methods;

interface Scalars {
  string: string;
  boolean: boolean;
  byte: number;
  short: number;
  int: number;
  long: number;
  float: number;
  double: number;
  /** ISO 8601, as the server wrote it. */
  dateTime: string;
  any: unknown;
  ref: Ref;
}

type Way = "read" | "write";

type BaseOf<N extends TypeName> = Rows[N] extends { base: infer B extends TypeName } ? B : never;
type Own<N extends TypeName> = Rows[N]["fields"];
type AllFields<N extends TypeName> = [BaseOf<N>] extends [never] ? Own<N> : AllFields<BaseOf<N>> & Own<N>;
type IsA<K extends TypeName, N extends TypeName> = K extends N
  ? true
  : [BaseOf<K>] extends [never]
    ? false
    : IsA<BaseOf<K>, N>;
type Descendants<N extends TypeName> = {
  [K in TypeName]: K extends N ? never : IsA<K, N> extends true ? K : never;
}[TypeName];

type Optional<D, W extends Way> = D extends `${string}?`
  ? true
  : W extends "write"
    ? D extends `${string}[]`
      ? true
      : false
    : false;

type Plain<N extends TypeName, W extends Way> = {
  readonly [F in keyof AllFields<N> as Optional<AllFields<N>[F], W> extends true ? never : F]: Value<
    AllFields<N>[F],
    W
  >;
} & {
  readonly [F in keyof AllFields<N> as Optional<AllFields<N>[F], W> extends true ? F : never]?:
    Value<AllFields<N>[F], W> | undefined;
};

type Data<N extends TypeName, W extends Way> =
  | (Plain<N, W> & { readonly $type?: N })
  | { [K in Descendants<N>]: Plain<K, W> & { readonly $type: K } }[Descendants<N>];

type Bare<D> = D extends `${infer T}[]` ? T : D extends `${infer T}?` ? T : D;
type One<T, W extends Way> = T extends keyof Scalars
  ? Scalars[T]
  : T extends keyof Enums
    ? Enums[T][number]
    : T extends TypeName
      ? Data<T, W>
      : unknown;
type Value<D, W extends Way> = D extends `${string}[]` ? readonly One<Bare<D>, W>[] : One<Bare<D>, W>;

export type Read<N extends TypeName> = Data<N, "read">;
export type Write<N extends TypeName> = Data<N, "write">;

type ParamRow<M extends MethodName> = Methods[M]["params"];
export type Params<M extends MethodName> = {
  readonly [P in keyof ParamRow<M> as Optional<ParamRow<M>[P], "write"> extends true ? never : P]: Value<
    ParamRow<M>[P],
    "write"
  >;
} & {
  readonly [P in keyof ParamRow<M> as Optional<ParamRow<M>[P], "write"> extends true ? P : never]?:
    Value<ParamRow<M>[P], "write"> | undefined;
};

export type Returns<M extends MethodName> = Methods[M] extends { returns: infer D }
  ? D extends `${string}?`
    ? Value<D, "read"> | undefined
    : Value<D, "read">
  : undefined;

type ManagedBase<M extends ManagedName> = Managed[M] extends { base: infer B extends ManagedName }
  ? B
  : never;
type Properties<M extends ManagedName> = [ManagedBase<M>] extends [never]
  ? Managed[M]["properties"]
  : Properties<ManagedBase<M>> & Managed[M]["properties"];

type At<V, P extends string> = V extends unknown
  ? P extends `${infer H}.${infer T}`
    ? H extends keyof V
      ? At<Exclude<V[H], undefined>, T>
      : never
    : P extends keyof V
      ? Exclude<V[P], undefined>
      : never
  : never;

/** The value of a property path of a managed object. */
export type Property<M extends ManagedName, P extends string> = P extends `${infer H}.${infer T}`
  ? H extends keyof Properties<M>
    ? At<Value<Properties<M>[H], "read">, T>
    : never
  : P extends keyof Properties<M>
    ? Value<Properties<M>[P], "read">
    : never;

/** Parameters as a server reads them. */
export type ParamsRead<M extends MethodName> = {
  readonly [P in keyof ParamRow<M> as Optional<ParamRow<M>[P], "read"> extends true ? never : P]: Value<
    ParamRow<M>[P],
    "read"
  >;
} & {
  readonly [P in keyof ParamRow<M> as Optional<ParamRow<M>[P], "read"> extends true ? P : never]?: Value<
    ParamRow<M>[P],
    "read"
  >;
};

/** A result as a server writes it. */
export type ReturnsWrite<M extends MethodName> = Methods[M] extends { returns: infer D }
  ? D extends `${string}?`
    ? Value<D, "write"> | undefined
    : Value<D, "write">
  : void;

/** Properties of a managed object, as a server computes them when asked. */
export type PropertyGetters<M extends ManagedName> = {
  readonly [P in keyof Properties<M>]?: () => Value<Properties<M>[P], "write"> | undefined;
};

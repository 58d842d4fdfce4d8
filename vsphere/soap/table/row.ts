// The notation of the tables in this folder. A field's descriptor is the name of a type: a scalar, "ref" (a managed object
// reference), "any" (the wire says which), an enumeration, or a data type; "?" after it means optional, "[]" an array.
export type Descriptor = string;

/** A data type: its base type, and its own fields in the order of the schema. */
export interface TypeRow {
  readonly base?: string;
  readonly fields: Readonly<Record<string, Descriptor>>;
}

/** A managed object: its base, and properties that can be collected. */
export interface ManagedRow {
  readonly base?: string;
  readonly properties: Readonly<Record<string, Descriptor>>;
}

/** A method: its parameters in order (`_this` goes before them), and what it returns. */
export interface MethodRow {
  readonly params: Readonly<Record<string, Descriptor>>;
  readonly returns?: Descriptor;
  /** True when calling it twice is the same as once: it may be repeated after a lost connection. */
  readonly read?: true;
}

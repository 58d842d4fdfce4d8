// The door of ipam.
export * from "./address.ts";
export * from "./intervals.ts";
export * from "./ranges.ts";
export * from "./free-index.ts";

// The door of core. Suites, fakes and things with heavy dependencies are imported by their path: #core/store/contract.ts.
export * from "./fault.ts";
export * from "./log.ts";
export * from "./secret.ts";
export * from "./time/clock.ts";
export * from "./time/backoff.ts";
export * from "./resource/meta.ts";
export * from "./resource/kind.ts";
export * from "./resource/condition.ts";
export * from "./resource/owner.ts";
export * from "./resource/selector.ts";
export * from "./store/store.ts";
export * from "./controller/reconciler.ts";
export * from "./sqlite.ts";

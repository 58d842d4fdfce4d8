// The door of core. Suites, fakes and things with heavy dependencies are imported by their path: #core/store/contract.ts.
export * from "./fault.ts";
export * from "./log.ts";
export * from "./secret.ts";
export * from "./sealed-box.ts";
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
export * from "./controller/cache.ts";
export * from "./controller/informer.ts";
export { nearStore, type NearStore } from "./controller/near-store.ts";
export * from "./controller/runner.ts";
export * from "./controller/steps.ts";
export * from "./controller/workqueue.ts";
export * from "./json.ts";
export * from "./resource/parse-selector.ts";
export * from "./resource/json-path.ts";
export * from "./time/human-duration.ts";
export * from "./controller/leadership.ts";
export * from "./controller/file-leadership.ts";
export * from "./controller/lease-leadership.ts";
export * from "./resource/json.ts";
export * from "./resource/names.ts";
export { memoryStore, type MemoryStoreDeps } from "./store/memory-store.ts";
export { sqliteStore, sealedByDefault, type SqliteStoreDeps } from "./store/sqlite-store.ts";
export { keyFileSeal, sealWith, type Seal } from "./store/seal.ts";
export * as options from "./options/index.ts";
export * from "./store/helpers.ts";
export * from "./abort.ts";
export { kubeStore, type KubeAccess, type KubeConnection, type KubeStoreDeps } from "./store/kube-store.ts";
export {
  serveStore,
  type Authenticate,
  type Caller,
  type ServedStore,
  type ServeOptions,
} from "./store/serve.ts";

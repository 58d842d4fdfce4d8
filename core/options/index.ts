// One schema, many faces: see schema.ts. From outside: import { options } from "#core", or the names from #core/options/index.ts.
export * from "./schema.ts";
export * from "./parsers.ts";
export * from "./load.ts";
export * from "./render.ts";
export { nearest } from "./nearest.ts";

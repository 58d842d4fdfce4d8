export {
  findConflicts,
  overlapAnnotation,
  overlapVerdict,
  scopeAnnotation,
  type Conflict,
  type GuestAddress,
} from "./find.ts";
export { checkConflicts, watchConflicts, type ConflictDeps } from "./watch.ts";
export { arpEntry, arpProber, systemWire, type ArpWire, type Prober, type ProbeResult } from "./probe.ts";
export { probeAnnotation } from "./look-ahead.ts";

export {
  actImport,
  planImport,
  rowsOfCsv,
  rowsOfGuests,
  rowsOfInventory,
  type ImportPlan,
  type ImportRow,
} from "./import.ts";
export { actRelease, planReleaseOfAddress, planReleaseOfClaim, type ReleasePlan } from "./release.ts";

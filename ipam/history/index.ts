export {
  historyControllers,
  holderAt,
  memoryHistory,
  type HistoryEntry,
  type HistoryShelf,
} from "./history.ts";
export { historyMigration, sqliteHistory } from "./sqlite.ts";

export {
  historyControllers,
  holderAt,
  memoryHistory,
  type HistoryEntry,
  type HistoryShelf,
} from "./history.ts";
export { historyFile, historyMigration, sqliteHistory } from "./sqlite.ts";

// The door of the ledger.
export { openLedger, type Ledger, type Scope, type Spell } from "./ledger.ts";

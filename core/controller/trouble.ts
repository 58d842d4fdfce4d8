/** How loud to be about something that has been failing for this long: info at first, warn from 30 s, error from 5 min. Pure. */
export function troubleLevel(lastedMs: number): "info" | "warn" | "error" {
  if (lastedMs < 30_000) return "info";
  return lastedMs < 300_000 ? "warn" : "error";
}

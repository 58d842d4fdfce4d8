// Health of those who send heartbeats, by the plane's clock. Pure.
import { formatTime } from "#core";

export interface HealthLimits {
  /** Without a heartbeat for this long: unhealthy. Milliseconds. */
  readonly unhealthyMs: number;
  /** For this long: somebody should look. Milliseconds. */
  readonly alertMs: number;
}

export const defaultLimits: HealthLimits = { unhealthyMs: 60_000, alertMs: 600_000 };

export type Health = "unknown" | "healthy" | "unhealthy" | "alerting";

/** `lastMs`: the last heartbeat, undefined when there never was one. */
export function healthOf(lastMs: number | undefined, nowMs: number, limits: HealthLimits): Health {
  if (lastMs === undefined) return "unknown";
  const silence = nowMs - lastMs;
  if (silence >= limits.alertMs) return "alerting";
  return silence >= limits.unhealthyMs ? "unhealthy" : "healthy";
}

/** Palette knows healthy, unhealthy and unknown only. */
export function healthWord(health: Health): "unknown" | "healthy" | "unhealthy" {
  return health === "alerting" ? "unhealthy" : health;
}

/** What to tell the operator when health changed; undefined when there is nothing to tell. */
export function healthEvent(
  before: Health,
  after: Health,
  who: string,
  lastMs: number | undefined,
): { severity: "Info" | "Warn" | "Error"; reason: string; message: string } | undefined {
  if (before === after || after === "unknown") return undefined;
  const since = lastMs === undefined ? "ever" : formatTime(lastMs);
  switch (after) {
    case "healthy":
      return before === "unknown"
        ? { severity: "Info", reason: "HeartbeatSeen", message: `${who} sent its first heartbeat` }
        : { severity: "Info", reason: "HeartbeatBack", message: `${who} sends heartbeats again` };
    case "unhealthy":
      return {
        severity: "Warn",
        reason: "HeartbeatMissed",
        message: `${who} has sent no heartbeat since ${since}`,
      };
    case "alerting":
      return {
        severity: "Error",
        reason: "HeartbeatLost",
        message: `${who} has sent no heartbeat since ${since}; check that it runs and has a way out to the plane`,
      };
  }
}

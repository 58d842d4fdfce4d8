// What a gateway is given from outside.
import type { Clock, Logger } from "#core";

export interface GatewayDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly version: string;
  /** Resident memory of this process, bytes. */
  readonly memory: () => number;
}

// A process for kill.test.ts: publishes without end, and prints each number once its publish has resolved.
import { silentLogger, systemClock } from "#core";
import { openLink } from "./client/link.ts";
import { Fault } from "#core";

const database = process.argv[2] ?? "";
const first = Number(process.argv[3]);
const link = await openLink(
  {
    ...{ clock: systemClock, log: silentLogger, random: Math.random, database },
    dial: () => Promise.reject(new Fault("Unavailable", "there is no plane")),
  },
  { identity: { role: "gateway", uid: "gateway-1", tenantUid: "tenant-1" } },
  new AbortController().signal,
);
let next = first;
async function publishForEver(): Promise<never> {
  for (;;) {
    const body = next++;
    await link.publish({ topic: "event", class: "event", key: "k", body });
    process.stdout.write(`${body}\n`); // synchronous on a pipe
  }
}
await Promise.all(Array.from({ length: 8 }, publishForEver));

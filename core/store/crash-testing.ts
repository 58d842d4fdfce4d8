// A process to be killed: writes without end to the store at the given path, and tells each write that was answered, one a line.
// Started by crash.test.ts: node --import tsx crash-testing.ts PATH PREFIX
import { systemClock } from "../time/clock.ts";
import { widgets } from "./contract.ts";
import { sqliteStore } from "./sqlite-store.ts";

const [path, prefix] = process.argv.slice(2);
if (path && prefix) {
  const store = await sqliteStore(path, { clock: systemClock });
  const tell = (name: string, revision: string) => process.stdout.write(`${name} ${revision}\n`);
  const work = async (worker: number) => {
    for (let i = 0; ; i++) {
      const metadata = { name: `${prefix}-${worker}-${i}`, namespace: "n" };
      const made = await store.create(widgets, { metadata, spec: { size: 1 } });
      tell(metadata.name, made.metadata.resourceVersion);
      const next = await store.update(widgets, { ...made, spec: { size: 2 } });
      tell(metadata.name, next.metadata.resourceVersion);
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, worker) => work(worker)));
}

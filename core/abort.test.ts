import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { linkAbort } from "./abort.ts";

const listeners = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

test("a linked signal aborts with the first of its sources", () => {
  const [a, b] = [new AbortController(), new AbortController()];
  const linked = linkAbort(a.signal, undefined, b.signal);
  expect(linked.signal.aborted).toBe(false);
  b.abort();
  expect(linked.signal.aborted).toBe(true);
  expect(a.signal.aborted).toBe(false);
});

test("a source that has aborted aborts it at once", () => {
  const other = new AbortController();
  expect(linkAbort(other.signal, AbortSignal.abort()).signal.aborted).toBe(true);
  expect(listeners(other.signal)).toBe(0);
});

test("nothing is left at the sources, however it ends", () => {
  const source = new AbortController();
  linkAbort(source.signal).unlink();
  linkAbort(source.signal).abort();
  const last = linkAbort(source.signal);
  expect(listeners(source.signal)).toBe(1);
  source.abort();
  expect(listeners(source.signal)).toBe(0);
  expect(last.signal.aborted).toBe(true);
});

import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { systemClock } from "#core";
import { takesConnections } from "./endpoint.ts";

it("who takes a connection answers; who refuses does not", async () => {
  const asked = takesConnections(systemClock);
  const never = new AbortController().signal;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  expect(await asked({ host: "127.0.0.1", port }, never)).toBe(true);
  await new Promise((resolve) => server.close(resolve));
  expect(await asked({ host: "127.0.0.1", port }, never)).toBe(false);
});

it("who is stopped while asking hears no", async () => {
  const stop = new AbortController();
  stop.abort();
  expect(await takesConnections(systemClock)({ host: "127.0.0.1", port: 9 }, stop.signal)).toBe(false);
});

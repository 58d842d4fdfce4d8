// How our client behaves at a vCenter that refuses, forgets, or changes its mind about a login.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Secret, systemClock } from "#core";
import { fakeClock } from "#core/time/fake-clock.ts";
import { httpText } from "#vsphere/soap/http-text.ts";
import { httpsTransport } from "#vsphere/soap/transport.ts";
import { eventually, password, stage, username, type Stage } from "./testing.ts";

let at: Stage;
beforeEach(async () => void (at = await stage()));
afterEach(() => at.close());

describe("a refused password", () => {
  test("is sent once, whoever asks again, so that the account is not locked out", async () => {
    const client = at.client({ password: new Secret("wrong") });
    for (let i = 0; i < 3; i++)
      await expect(client.inventory.list("datacenter")).rejects.toMatchObject({ code: "Unauthorized" });
    await expect(client.checkLogin()).rejects.toMatchObject({ code: "Unauthorized" });
    expect(at.sim.knobs.calls("Login")).toBe(1);
  });

  test("does not stand in the way of its correction", async () => {
    const sessions = at.sessions();
    const wrong = sessions.connect({ ...at.account, password: new Secret("wrong") });
    await expect(wrong.checkLogin()).rejects.toMatchObject({ code: "Unauthorized" });
    await sessions.connect(at.account).checkLogin();
  });

  test("is tried again after a quarter of an hour, for it may have been set back", async () => {
    const clock = fakeClock();
    const client = at.client({ clock });
    at.sim.knobs.refuseLogins(true);
    await expect(client.checkLogin()).rejects.toMatchObject({ code: "Unauthorized" });
    at.sim.knobs.refuseLogins(false);
    await clock.advance(14 * 60_000);
    await expect(client.checkLogin()).rejects.toMatchObject({ code: "Unauthorized" });
    await clock.advance(60_000);
    await client.checkLogin();
    expect(at.sim.knobs.calls("Login")).toBe(2);
  });

  test("that was changed at the server while a session was open is told at the next login", async () => {
    const client = at.client();
    await client.checkLogin();
    at.sim.knobs.setPassword(new Secret("another"));
    await client.checkLogin(); // the session goes on
    at.sim.knobs.expireSessions();
    await expect(client.checkLogin()).rejects.toMatchObject({ code: "Unauthorized", type: "InvalidLogin" });
  });
});

describe("a session", () => {
  test("that ended is replaced once for all who wait", async () => {
    const client = at.client();
    await client.checkLogin();
    at.sim.knobs.expireSessions();
    at.sim.knobs.latency("Login", 100);
    await Promise.all(Array.from({ length: 10 }, () => client.checkLogin()));
    expect(at.sim.knobs.calls("Login")).toBe(2);
    expect(at.sim.knobs.sessions()).toBe(1);
  });

  test("is kept alive every five minutes, and outlives the server's idle limit", async () => {
    const clock = fakeClock(Date.now());
    const slow = await stage({ clock });
    const client = slow.client({ clock });
    await client.checkLogin();
    for (let minutes = 0; minutes < 60; minutes += 5) {
      const before = slow.sim.knobs.calls("CurrentTime");
      await clock.advance(5 * 60_000);
      await eventually(() => slow.sim.knobs.calls("CurrentTime")).toBeGreaterThan(before);
      await eventually(() => clock.pending).toBe(1); // armed again
    }
    expect(slow.sim.knobs.sessions()).toBe(1);
    expect(slow.sim.knobs.calls("Login")).toBe(1);
    await slow.close();
  });

  test("that nobody uses any more is logged out after a while, and not before", async () => {
    const clock = fakeClock();
    const sessions = at.sessions({ clock, lingerMs: 60_000 });
    const [one, two] = [sessions.connect(at.account), sessions.connect(at.account)];
    await one.checkLogin();
    expect(sessions.size).toBe(1);
    await one.close();
    await one.close(); // twice is once
    await clock.advance(120_000);
    expect(sessions.size).toBe(1);
    await two.close();
    await clock.advance(30_000);
    await sessions.connect(at.account).close(); // used again: the time starts anew
    await clock.advance(59_000);
    expect(at.sim.knobs.sessions()).toBe(1);
    await clock.advance(1_000);
    await eventually(() => at.sim.knobs.sessions()).toBe(0);
    expect(sessions.size).toBe(0);
  });

  test("that could not be made because the server was away is made when it is back", async () => {
    at.sim.knobs.cutNext("Login");
    const client = at.client();
    await expect(client.checkLogin()).rejects.toMatchObject({ code: "Unavailable" });
    await client.checkLogin();
  });
});

describe("the REST side", () => {
  test("lets the account in, and ends its session with the client", async () => {
    const client = at.client();
    expect(await client.rest.face()).toBe("api");
    expect(at.sim.knobs.sessions()).toBe(2);
    await client.close();
    expect(at.sim.knobs.sessions()).toBe(0);
  });

  test("is not asked with a password that the SOAP side refused", async () => {
    const wrong = at.client({ password: new Secret("wrong") });
    for (let i = 0; i < 2; i++)
      await expect(wrong.rest.face()).rejects.toMatchObject({ code: "Unauthorized" });
    expect(at.sim.knobs.calls("Login")).toBe(1);
  });

  test.each([
    ["right", "correct horse", "/api/session", 201],
    ["wrong", "wrong", "/api/session", 401],
    ["wrong", "wrong", "/rest/com/vmware/cis/session", 401],
  ])("of the simulated vCenter checks a %s password", async (_, text, path, status) => {
    const transport = httpsTransport({ ...at.account, clock: systemClock });
    const authorization = `Basic ${Buffer.from(`${username}:${text}`).toString("base64")}`;
    const request = {
      method: "POST",
      path,
      headers: { authorization },
      repeatable: false,
      timeoutMs: 5_000,
    } as const;
    expect((await httpText(transport, request)).status).toBe(status);
    transport.close();
  });
});

test("no error and no log shows the password", async () => {
  const client = at.client({ password: new Secret("very secret") });
  const failure = await client.checkLogin().catch((error: unknown) => error);
  expect(JSON.stringify(failure) + String(failure) + (failure as Error).stack).not.toContain("very secret");
  expect(`${username}${String(password)}`).not.toContain("correct horse");
});

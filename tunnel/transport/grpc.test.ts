import { connect } from "node:http2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Fault } from "#core";
import { testPki, type TestPki } from "../test-pki.ts";
import { transportContract, type TransportPair } from "./contract.ts";
import { grpcDial, type TlsCredentials } from "./grpc-client.ts";
import { windowBytes } from "./grpc-line.ts";
import { grpcListen } from "./grpc-server.ts";
import { identityOf } from "./identity.ts";
import type { AcceptedTransport, Listener, Transport } from "./transport.ts";

const never = new AbortController().signal;
let pki: TestPki;
let server: TlsCredentials;
let gateway: TlsCredentials;
beforeAll(async () => {
  pki = await testPki();
  server = await pki.server();
  gateway = await pki.client("pcg://tenant-1/gateway/gw-1");
});

interface Endpoint {
  readonly listener: Listener;
  readonly address: string;
  /** Resolves with the next line that comes in. */
  accepted(): Promise<AcceptedTransport>;
}

async function endpoint(): Promise<Endpoint> {
  const lines: AcceptedTransport[] = [];
  const waiting: ((line: AcceptedTransport) => void)[] = [];
  const listen = grpcListen({ host: "127.0.0.1", port: 0, ...server });
  const listener = await listen((line) => {
    const next = waiting.shift();
    if (next) next(line);
    else lines.push(line);
  });
  return {
    listener,
    address: `127.0.0.1:${listener.port}`,
    accepted: () => {
      const line = lines.shift();
      return line ? Promise.resolve(line) : new Promise((resolve) => waiting.push(resolve));
    },
  };
}

function dial(address: string, shown: TlsCredentials): Promise<Transport> {
  return grpcDial({ address, credentials: () => Promise.resolve(shown) })(never);
}

function whyClosed(line: Transport): Promise<Fault | undefined> {
  return new Promise((onClosed) => line.start({ onFrame() {}, onWritable() {}, onClosed }));
}

transportContract("gRPC with mutual TLS", async (): Promise<TransportPair> => {
  const { listener, address, accepted } = await endpoint();
  const dialled = await dial(address, gateway);
  return { dialled, accepted: await accepted(), close: () => listener.close() };
});

describe("gRPC with mutual TLS", () => {
  let far: Endpoint;
  beforeAll(async () => {
    far = await endpoint();
  });
  afterAll(() => far.listener.close());

  test("the identity and the serial number come from the client's certificate", async () => {
    const line = await dial(far.address, await pki.client("pcg://tenant-7/agent/cluster-9"));
    const { identity } = await far.accepted();
    expect(identity).toMatchObject({ tenantUid: "tenant-7", role: "agent", uid: "cluster-9" });
    expect(identity.serial).toMatch(/^[0-9a-f]+$/);
    line.abort();
  });

  test("credentials are asked for at every dial, so a renewed certificate is used at the next", async () => {
    const serials: string[] = [];
    const shown = [gateway, await pki.client("pcg://tenant-1/gateway/gw-1")];
    const redial = grpcDial({
      address: far.address,
      credentials: () => Promise.resolve(shown.shift() ?? gateway),
    });
    for (let i = 0; i < 2; i++) {
      const line = await redial(never);
      serials.push((await far.accepted()).identity.serial);
      line.abort();
    }
    expect(new Set(serials).size).toBe(2);
  });

  test("a client of another certificate authority, without a certificate's name, or expired gets no line", async () => {
    const stranger = await (await testPki("another CA")).client("pcg://tenant-1/gateway/gw-1");
    const nameless = await pki.client("https://example.org/");
    const expired = await pki.client("pcg://tenant-1/gateway/gw-1", { expired: true });
    for (const shown of [{ ...stranger, ca: pki.ca }, nameless, expired]) {
      expect(await whyClosed(await dial(far.address, shown))).toMatchObject({ name: "Fault" });
    }
    const named = await whyClosed(await dial(far.address, nameless));
    expect(named).toMatchObject({
      code: "Unauthorized",
      message: expect.stringContaining("names no gateway") as string,
    });
  });

  test("a plane whose certificate is not from our authority gets no line", async () => {
    const { ca } = await testPki("another CA");
    const why = await whyClosed(await dial(far.address, { ...gateway, ca }));
    expect(why).toMatchObject({ code: "Unavailable" });
    expect(why?.message).toMatch(/certificate/);
  });

  test("a plane whose certificate carries another name gets no line", async () => {
    for (const serverName of ["plane.example", "127.0.0.2"]) {
      const options = { address: far.address, serverName, credentials: () => Promise.resolve(gateway) };
      const why = await whyClosed(await grpcDial(options)(never));
      expect(why?.message).toContain(serverName);
    }
  });

  test("a plane that is not there is named, with what failed", async () => {
    const gone = await endpoint();
    await gone.listener.close();
    const why = await whyClosed(await dial(gone.address, gateway));
    expect(why?.message).toContain(gone.address);
    expect(why?.message).toContain("ECONNREFUSED");
  });

  test("unusable key material is Invalid and shows nothing of it", async () => {
    const broken = { ...gateway, cert: "no certificate" };
    await expect(dial(far.address, broken)).rejects.toMatchObject({ code: "Invalid" });
  });

  test("both of the server's HTTP/2 windows are raised", async () => {
    const session = connect(`https://${far.address}`, {
      ca: pki.ca,
      cert: gateway.cert,
      key: gateway.key.reveal(),
    });
    try {
      await new Promise((resolve, reject) => session.once("remoteSettings", resolve).once("error", reject));
      expect(session.remoteSettings.initialWindowSize).toBe(windowBytes);
      const deadline = Date.now() + 2_000;
      while ((session.state.remoteWindowSize ?? 0) < windowBytes && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      expect(session.state.remoteWindowSize).toBe(windowBytes);
    } finally {
      session.destroy();
    }
  });
});

describe("whom a certificate names", () => {
  const serialNumber = "0A";
  test.each([
    ["URI:pcg://t/gateway/g", { tenantUid: "t", role: "gateway", uid: "g", serial: "0a" }],
    ["URI:pcg://t/agent/c-1", { tenantUid: "t", role: "agent", uid: "c-1", serial: "0a" }],
  ])("%s", (subjectaltname, identity) => {
    expect(identityOf({ subjectaltname, serialNumber })).toEqual(identity);
  });
  test.each([
    "",
    "DNS:plane",
    "DNS:x, URI:pcg://t/agent/c-1",
    "URI:https://t/gateway/g",
    "URI:pcg://t/plane/g",
    "URI:pcg://t/gateway/",
    "URI:pcg://t/gateway/g/h",
    "URI:pcg://t/gateway/g, URI:pcg://t/gateway/h",
    'URI:"pcg://t/gateway/g, URI:pcg://t/gateway/h"',
    "DNS:URI:pcg://t/gateway/g",
  ])("nobody: %s", (subjectaltname) => {
    expect(() => identityOf({ subjectaltname, serialNumber })).toThrow(/names no gateway/);
  });
});

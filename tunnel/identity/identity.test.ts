import { generateKeyPairSync } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Secret, isFault } from "#core";
import { keyFileSeal } from "#core/store/seal.ts";
import { formatPairingCode, pairingCodeBytes, parsePairingCode } from "./code.ts";
import { makeKeyAndRequest } from "./csr.ts";
import { writeSecretFile } from "./files.ts";
import { normalisePlaneUrl } from "./http.ts";
import { identityFile, loadIdentity, renewAt, saveIdentity, type Identity } from "./identity.ts";
import { answerProof, deriveCodeKeys, normaliseSerial, pemDigest, requestProof, sameProof } from "./proof.ts";
import { identityOfAltName, identityUri, parseIdentityUri } from "./uri.ts";

const bytes = fc.uint8Array({ minLength: pairingCodeBytes, maxLength: pairingCodeBytes });

test("a code reads back the same however it is typed", () => {
  fc.assert(
    fc.property(
      bytes,
      fc.boolean(),
      fc.constantFrom("", " ", "-", "–", "."),
      fc.constantFrom("O", "0", "o"),
      fc.constantFrom("1", "I", "l", "i"),
      (raw, lower, between, zero, one) => {
        const code = formatPairingCode(raw);
        const typed = [...code.replaceAll("-", "")]
          .map((c) => (c === "0" ? zero : c === "1" ? one : lower ? c.toLowerCase() : c))
          .join(between);
        expect(parsePairingCode(` ${typed}\n`)).toBe(code);
      },
    ),
  );
});

test("different bytes make different codes, in groups of four without I, L, O and U", () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(formatPairingCode(a)).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/);
      expect(formatPairingCode(a) === formatPairingCode(b)).toBe(Buffer.from(a).equals(Buffer.from(b)));
    }),
  );
});

test("a malformed code is refused without being repeated", () => {
  for (const typed of ["", "SECRET", "7K3F-Q0ZD-11VA-M8XNN", "7K3F-Q0ZD-11VA-M8X$"]) {
    try {
      parsePairingCode(typed);
      expect.unreachable();
    } catch (error) {
      expect(isFault(error, "Invalid")).toBe(true);
      if (typed) expect((error as Error).message).not.toContain(typed);
    }
  }
});

test("the id of a code says nothing of its MAC key, and two codes share neither", () => {
  const a = deriveCodeKeys("7K3F-Q0ZD-11VA-M8XN");
  const b = deriveCodeKeys("7K3F-Q0ZD-11VA-M8XP");
  expect(new Set([a.id, a.macKey.toString("hex"), b.id, b.macKey.toString("hex")]).size).toBe(4);
  expect(deriveCodeKeys("7K3F-Q0ZD-11VA-M8XN")).toEqual(a);
});

test("every field of request and answer is under its proof", async () => {
  const { macKey } = deriveCodeKeys("7K3F-Q0ZD-11VA-M8XN");
  const [one, two] = [await makeKeyAndRequest("a"), await makeKeyAndRequest("a")];
  const request = { csr: one.csr, name: "edge" };
  const proof = requestProof(macKey, request);
  expect(sameProof(proof, requestProof(macKey, { ...request, csr: one.csr.replaceAll("\n", "\r\n") }))).toBe(
    true,
  );
  expect(sameProof(proof, requestProof(macKey, { ...request, csr: two.csr }))).toBe(false);
  expect(sameProof(proof, requestProof(macKey, { ...request, name: "edge2" }))).toBe(false);
  const answer = { uid: "u", tenantUid: "t", certificate: "c", ca: "ca", tunnel: "h:1", signingKey: "s" };
  const stamp = answerProof(macKey, one.csr, answer);
  for (const field of Object.keys(answer)) {
    expect(sameProof(stamp, answerProof(macKey, one.csr, { ...answer, [field]: "other" })), field).toBe(
      false,
    );
  }
  expect(sameProof(stamp, answerProof(macKey, two.csr, answer))).toBe(false);
  // moving a border between two fields is a change as well
  expect(sameProof(stamp, answerProof(macKey, one.csr, { ...answer, uid: "ut", tenantUid: "" }))).toBe(false);
});

test.each([
  ["", ""],
  ["zz", "zz"],
  ["ab", "abcd"],
  ["00".repeat(32), "00".repeat(31)],
])("sameProof(%j, %j) is false: no digest of 32 bytes", (a, b) => {
  expect(sameProof(a, b)).toBe(false);
});

test("pemDigest refuses what is no PEM", () => {
  expect(() => pemDigest("hello")).toThrow(/not PEM/);
});

test.each([
  ["pcg://t1/gateway/g1", { role: "gateway", tenantUid: "t1", uid: "g1" }],
  ["pcg://t1/agent/c1", { role: "agent", tenantUid: "t1", uid: "c1" }],
  ["pcg://t1/plane/c1", undefined],
  ["pcg://t1/gateway/g1/", undefined],
  ["pcg://t1/gateway/g1/agent/c1", undefined],
  ["pcg:///gateway/g1", undefined],
  ["pcg://t 1/gateway/g1", undefined],
  ["https://t1/gateway/g1", undefined],
])("%s names %j", (uri, name) => {
  expect(parseIdentityUri(uri)).toEqual(name);
  if (name) expect(identityUri(name as never)).toBe(uri);
});

test("a certificate names its holder by exactly one URI", () => {
  expect(identityOfAltName("URI:pcg://t1/gateway/g1")).toMatchObject({ uid: "g1" });
  expect(identityOfAltName("URI:pcg://t1/gateway/g1, DNS:x")).toBeUndefined();
  expect(identityOfAltName("DNS:pcg://t1/gateway/g1")).toBeUndefined();
  expect(identityOfAltName(undefined)).toBeUndefined();
});

test.each([
  ["0A:bC", "abc"],
  ["00", "0"],
  ["7f01", "7f01"],
])("serial %s is written %s", (from, to) => {
  expect(normaliseSerial(from)).toBe(to);
});

test.each([
  ["plane.example", "https://plane.example"],
  ["plane:8443/", "https://plane:8443"],
  ["HTTPS://Plane.Example:8443/base/", "https://plane.example:8443/base"],
  ["http://[::1]:80/", "http://[::1]"],
])("plane address %s is read as %s", (typed, url) => {
  expect(normalisePlaneUrl(typed)).toBe(url);
});

test.each(["ftp://plane", "http://", ""])("plane address %j is refused", (typed) => {
  expect(() => normalisePlaneUrl(typed)).toThrow(/is no address of a plane/);
});

test("renewal is due at two thirds of the life", () => {
  expect(renewAt({ fromMs: 1000, untilMs: 4000 })).toBe(3000);
});

let dir: string;
beforeEach(async () => (dir = await mkdtemp(join(tmpdir(), "pcg-id-"))));
afterEach(() => rm(dir, { recursive: true, force: true }));
const identity: Identity = {
  ...{
    role: "gateway",
    uid: "g",
    tenantUid: "t",
    planeUrl: "https://p",
    certificate: "C",
    ca: "A",
    tunnel: "p:1",
    signingKey: "S",
  },
  privateKey: new Secret("very private"),
};

test("an identity comes back as it was stored; sealed, its key is not readable in the file", async () => {
  const seal = await keyFileSeal(join(dir, "key"));
  for (const one of [undefined, seal]) {
    await saveIdentity(dir, identity, one);
    const back = await loadIdentity(dir, one);
    expect({ ...back, privateKey: back?.privateKey.reveal() }).toEqual({
      ...identity,
      privateKey: "very private",
    });
    expect((await readFile(identityFile(dir), "utf8")).includes("very private")).toBe(one === undefined);
  }
  const other = await keyFileSeal(join(dir, "other"));
  await expect(loadIdentity(dir, other)).rejects.toThrow(
    /is damaged or sealed with another key; restore it, or remove it and pair again/,
  );
});

test("no identity is undefined; half a file is a fault with advice", async () => {
  expect(await loadIdentity(join(dir, "nowhere"))).toBeUndefined();
  await writeFile(identityFile(dir), '{"version":1,');
  await expect(loadIdentity(dir)).rejects.toMatchObject({ code: "Invalid" });
});

test("a secret file is of mode 0600 even where a wider one lay", async () => {
  const path = join(dir, "deep", "file");
  await writeSecretFile(path, "a");
  await chmod(path, 0o644);
  await writeFile(`${path}.new`, "left over", { mode: 0o644 });
  await writeSecretFile(path, "b");
  expect(await readFile(path, "utf8")).toBe("b");
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("an identity never shows its key", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const shown = JSON.stringify({ ...identity, privateKey: new Secret(pem) });
  expect(shown).not.toContain("PRIVATE");
});

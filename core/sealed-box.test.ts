import { describe, expect, it } from "vitest";
import { Secret } from "./secret.ts";
import { boxKeyOf, makeBoxKey, openBox, sealBox, tokenFor } from "./sealed-box.ts";

const reader = makeBoxKey();
const token = tokenFor(reader, "u1");
const to = { publicKey: reader.publicKey, token };
const text = Buffer.from("the cluster's certificate authority key");
const context = "mirror/u1/7";

describe("a sealed box", () => {
  it("opens for its reader, as often as he likes, and after he was read back from his file", () => {
    const box = sealBox(to, text, context);
    expect(Buffer.from(openBox(reader, token, box, context))).toEqual(text);
    const again = boxKeyOf(new Secret(reader.privateKey.reveal()));
    expect(again.publicKey).toBe(reader.publicKey);
    expect(Buffer.from(openBox(again, tokenFor(again, "u1"), box, context))).toEqual(text);
  });

  it("shows nothing of what is in it, and never looks the same twice", () => {
    const [one, two] = [sealBox(to, text, context), sealBox(to, text, context)].map((box) =>
      Buffer.from(box),
    );
    expect(one!.includes(text)).toBe(false);
    expect(one!.length).toBe(text.length + 49);
    for (let at = 1; at < one!.length - 3; at++) {
      expect(two!.includes(one!.subarray(at, at + 4)), `byte ${at}`).toBe(false);
    }
  });

  it.each<[string, () => unknown]>([
    ["another reader", () => openBox(makeBoxKey(), token, sealBox(to, text, context), context)],
    ["another's token", () => openBox(reader, tokenFor(reader, "u2"), sealBox(to, text, context), context)],
    [
      "one who knows the public key alone",
      () => openBox(reader, token, sealBox({ ...to, token: new Secret("") }, text, context), context),
    ],
    ["another context", () => openBox(reader, token, sealBox(to, text, "mirror/u2/7"), context)],
    ["a stranger's bytes", () => openBox(reader, token, Buffer.alloc(80, 1), context)],
    ["nothing", () => openBox(reader, token, Buffer.alloc(0), context)],
  ])("does not open for %s", (_who, open) => {
    expect(open).toThrow(expect.objectContaining({ code: "Invalid" }));
  });

  it("does not open when any bit of it was changed", () => {
    const box = Buffer.from(sealBox(to, text, context));
    for (let at = 0; at < box.length; at++) {
      const changed = Buffer.from(box);
      changed[at]! ^= 1 << (at % 8);
      // X25519 ignores the top bit of a public key (RFC 7748, 5); the salt does not.
      expect(() => openBox(reader, token, changed, context), `byte ${at}`).toThrow();
    }
  });

  it("refuses an address that is none", () => {
    expect(() => sealBox({ ...to, publicKey: "abc" }, text, context)).toThrow(/32 bytes/);
  });

  it("keeps its private half out of sight", () => {
    expect(JSON.stringify(reader)).not.toContain(reader.privateKey.reveal());
    expect(String(token)).toBe("***");
  });
});

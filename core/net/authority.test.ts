import { X509Certificate } from "node:crypto";
import { expect, it } from "vitest";
import { systemClock } from "../time/clock.ts";
import { makeAuthority, openAuthority } from "./authority.ts";

it("an authority signs certificates that say who, for which hosts, and verify", async () => {
  const authority = await makeAuthority("test", systemClock, 2);
  const root = new X509Certificate(authority.certificate);
  const issued = await authority.issue({
    name: "ann",
    organization: "system:masters",
    hosts: ["127.0.0.1", "localhost"],
  });
  const leaf = new X509Certificate(issued.certificate);
  expect(leaf.verify(root.publicKey)).toBe(true);
  expect(leaf.checkIssued(root)).toBe(true);
  expect(leaf.subject).toBe("O=system:masters\nCN=ann");
  expect(leaf.subjectAltName).toBe("IP Address:127.0.0.1, DNS:localhost");
  expect(leaf.ca).toBe(false);
  expect(Date.parse(leaf.validTo) - Date.now()).toBeLessThanOrEqual(2 * 86_400_000);
  expect(String(issued.key)).toBe("***");
  expect((await makeAuthority("test", systemClock)).certificate).not.toBe(authority.certificate);
});

it("an authority that was kept goes on where it left off", async () => {
  const first = await makeAuthority("test", systemClock, 2);
  const again = await openAuthority(first, systemClock, 365);
  const leaf = new X509Certificate((await again.issue({ name: "bob" })).certificate);
  const root = new X509Certificate(first.certificate);
  expect(again.certificate).toBe(first.certificate);
  expect(leaf.verify(root.publicKey)).toBe(true);
  expect(Date.parse(leaf.validTo)).toBeLessThanOrEqual(Date.parse(root.validTo));
});

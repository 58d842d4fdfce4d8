import { describe, expect, it } from "vitest";
import { Fault } from "#core";
import { examine, hostOf, type DoctorPorts, type Finding } from "./doctor.ts";

const healthy: DoctorPorts = {
  plane: "https://plane.example:7443",
  vcenter: "vcenter.example:443",
  resolve: async () => ["192.0.2.7"],
  planeSkewMs: async () => 400,
  identity: async () => ({ uid: "gw-1", expiresInMs: 6 * 86_400_000, tunnel: "plane.example:7444" }),
  reachTunnel: async () => {},
  vcenterCertificate: async () => ({ thumbprint: "AA:BB", trusted: true }),
  vcenterLogin: async () => ({ product: "vCenter 8.0.3" }),
  missingPrivileges: async () => [],
  pools: async () => [{ name: "default/nodes", total: 51, free: 40 }],
};

async function findings(changes: Partial<DoctorPorts>): Promise<Finding[]> {
  const all: Finding[] = [];
  for await (const finding of examine({ ...healthy, ...changes })) all.push(finding);
  return all;
}

const unwell = (all: readonly Finding[]) =>
  all.filter((f) => f.state !== "ok").map((f) => `${f.check} ${f.state}`);

describe("the doctor", () => {
  it("finds nothing on a healthy site, and says what it saw", async () => {
    const all = await findings({});
    expect(unwell(all)).toEqual([]);
    expect(all.map((f) => f.check)).toEqual([
      ...["dns plane", "plane", "identity", "tunnel", "dns vcenter"],
      ...["vcenter certificate", "vcenter login", "vcenter privileges", "pools"],
    ]);
  });

  const cases: [string, Partial<DoctorPorts>, string[], RegExp][] = [
    [
      "an unknown plane",
      {
        resolve: async (h) =>
          h.startsWith("plane") ? Promise.reject(new Error("no such host")) : ["192.0.2.7"],
      },
      ["dns plane failed", "plane skipped"],
      /plane\.url/,
    ],
    [
      "a closed firewall",
      { planeSkewMs: async () => Promise.reject(new Fault("TimedOut", "no answer in 5 s")) },
      ["plane failed"],
      /allow outbound TCP/,
    ],
    ["a clock that is an hour late", { planeSkewMs: async () => 3_600_000 }, ["plane failed"], /time server/],
    [
      "a clock that is two minutes early",
      { planeSkewMs: async () => -120_000 },
      ["plane warning"],
      /time server/,
    ],
    [
      "a gateway without identity",
      { identity: async () => undefined },
      ["identity failed", "tunnel skipped"],
      /pair CODE/,
    ],
    [
      "an expired certificate",
      { identity: async () => ({ uid: "gw-1", expiresInMs: -1, tunnel: "x:1" }) },
      ["identity failed"],
      /pair again/,
    ],
    [
      "another vCenter certificate",
      { vcenterCertificate: async () => ({ thumbprint: "CC:DD", trusted: false }) },
      ["vcenter certificate failed", "vcenter login skipped", "vcenter privileges skipped"],
      /vcenter\.thumbprint/,
    ],
    [
      "a wrong password",
      { vcenterLogin: async () => Promise.reject(new Fault("Unauthorized", "vCenter refused user x")) },
      ["vcenter login failed", "vcenter privileges skipped"],
      /passwordFile/,
    ],
    [
      "a missing privilege",
      {
        missingPrivileges: async () => [
          { object: "folder vm", privileges: ["VirtualMachine.Inventory.Create"] },
        ],
      },
      ["vcenter privileges failed"],
      /role/,
    ],
    [
      "a full pool",
      { pools: async () => [{ name: "default/nodes", total: 9, free: 3 }] },
      ["pools warning"],
      /add addresses/,
    ],
  ];
  it.each(cases)("names %s and the remedy", async (_, changes, expected, remedy) => {
    const all = await findings(changes);
    expect(unwell(all)).toEqual(expected);
    expect(all.find((f) => f.remedy)?.remedy).toMatch(remedy);
  });

  it.each([
    ["https://plane.example:7443/x", "plane.example"],
    ["vcenter.example:443", "vcenter.example"],
    ["[2001:db8::1]:443", "2001:db8::1"],
    ["10.0.0.1", "10.0.0.1"],
  ])("takes the host of %s", (address, host) => expect(hostOf(address)).toBe(host));
});

import { describe, expect, it } from "vitest";
import { managerArgs, under } from "./program-args.ts";

const place = {
  kubeconfig: "/run/kubeconfig",
  ports: { webhook: 1001, health: 1002, diagnostics: 1003 },
  mounts: new Map([
    ["/etc/capv", "/run/mounts/creds"],
    ["/tmp/k8s-webhook-server/serving-certs", "/run/mounts/cert"],
  ]),
};
const own = [
  "--kubeconfig=/run/kubeconfig",
  "--webhook-port=1001",
  "--webhook-cert-dir=/run/mounts/cert",
  "--health-addr=127.0.0.1:1002",
  "--diagnostics-address=127.0.0.1:1003",
  "--leader-elect=false",
];

describe("arguments of a container as those of a process", () => {
  it.each<[string, string[], string[]]>([
    ["nothing told", [], []],
    [
      "what is its own stays",
      ["--v=2", "--feature-gates=A=true,B=false"],
      ["--v=2", "--feature-gates=A=true,B=false"],
    ],
    ["what cannot be shared goes", ["--leader-elect", "--webhook-port=9443", "--kubeconfig", "/x"], []],
    ["a flag without a value takes none from the next", ["--leader-elect", "--v=2"], ["--v=2"]],
    [
      "a mounted path",
      ["--credentials-file=/etc/capv/c.yaml"],
      ["--credentials-file=/run/mounts/creds/c.yaml"],
    ],
    ["a path that is not mounted", ["--x=/etc/capvious/c"], ["--x=/etc/capvious/c"]],
  ])("%s", (_, given, kept) => {
    expect(managerArgs(given, place).args).toEqual([...kept, ...own]);
  });

  it.each<[string, string[], [number, number][]]>([
    [
      "upstream's",
      [],
      [
        [9443, 1001],
        [9440, 1002],
        [8443, 1003],
      ],
    ],
    [
      "told",
      ["--webhook-port=7443", "--health-addr=0.0.0.0:7440", "--diagnostics-address", ":7444"],
      [
        [7443, 1001],
        [7440, 1002],
        [7444, 1003],
      ],
    ],
  ])("where its ports are: %s", (_, given, want) => {
    expect([...managerArgs(given, place).ports]).toEqual(want);
  });

  it.each([
    ["/etc/capv", "/run/mounts/creds"],
    ["/etc/capv/", "/run/mounts/creds"],
    ["/etc/capv/a/b", "/run/mounts/creds/a/b"],
    ["/etc", "/etc"],
  ])("%s lies at %s", (path, want) => {
    expect(under(path, place.mounts)).toBe(want);
  });
});

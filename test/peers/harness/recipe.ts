// What is built of each Go module, and with which flags. Pure but for reading the module's own files.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export type ModuleName = "kube" | "capi" | "vsphere";

/** One call of `go build`. */
export interface Step {
  /** The programs that come out of it. */
  readonly programs: readonly string[];
  readonly packages: readonly string[];
  readonly ldflags: string;
  /** Where the one program goes; absent: each takes the name of its package's folder. */
  readonly output?: string;
}

const strip = "-s -w";

/** The steps that build a module's programs. `folder` is the module's own. */
export function stepsOf(name: ModuleName, folder: string): readonly Step[] {
  switch (name) {
    case "kube":
      return [
        single("etcd", "go.etcd.io/etcd/server/v3"),
        single("etcdutl", "go.etcd.io/etcd/etcdutl/v3"),
        {
          programs: ["kube-apiserver", "kube-controller-manager", "kubectl"],
          packages: ["kube-apiserver", "kube-controller-manager", "kubectl"].map(
            (program) => `k8s.io/kubernetes/cmd/${program}`,
          ),
          ldflags: `${strip} ${stamp(versionOf(folder, "k8s.io/kubernetes"))}`,
        },
      ];
    case "capi":
      return [
        single("capi-core", "sigs.k8s.io/cluster-api"),
        single("cabpk", "sigs.k8s.io/cluster-api/bootstrap/kubeadm"),
        single("kcp", "sigs.k8s.io/cluster-api/controlplane/kubeadm"),
        single("clusterctl", "sigs.k8s.io/cluster-api/cmd/clusterctl"),
        single("capv", "sigs.k8s.io/cluster-api-provider-vsphere"),
      ];
    case "vsphere":
      return [{ programs: ["vcsim", "govc"], packages: ["./vcsim", "./govc"], ldflags: strip }];
  }
}

/** One program that is not called like its package's folder. */
function single(program: string, from: string): Step {
  return { programs: [program], packages: [from], ldflags: strip, output: program };
}

/** Kubernetes' programs say "v0.0.0" unless they are told their version; the API server derives its defaults from it. */
function stamp(version: string): string {
  const [major = "", minor = ""] = version.replace(/^v/, "").split(".");
  const set = { gitVersion: version, gitMajor: major, gitMinor: minor };
  return Object.entries(set)
    .map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
    .join(" ");
}

/** The version of a dependency in the module's go.mod. */
export function versionOf(folder: string, dependency: string): string {
  const text = readFileSync(join(folder, "go.mod"), "utf8");
  const line = text.split("\n").find((each) => each.trim().startsWith(`${dependency} v`));
  if (!line) throw new Error(`${folder}/go.mod does not require ${dependency}`);
  return line.trim().split(/\s+/)[1]!;
}

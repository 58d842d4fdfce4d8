// The address of a cluster's API while no load balancer exists: kube-vip as a static pod on every control-plane node, which holds
// the address by ARP as long as it holds a Lease.
//
// Since Kubernetes 1.29 kubeadm writes admin.conf without rights until its last phase; only super-admin.conf may write the Lease
// before that (kube-vip issue 684). So the node that runs `kubeadm init` starts with super-admin.conf and goes back afterwards.
import { mirrored } from "#proto/render/images.ts";

export const kubeVipImage = "ghcr.io/kube-vip/kube-vip:v1.0.1";

const manifestPath = "/etc/kubernetes/manifests/kube-vip.yaml";
const scriptPath = "/etc/kubernetes/pcg/kube-vip-identity.sh";

interface File {
  readonly path: string;
  readonly owner: string;
  readonly permissions: string;
  readonly content: string;
}

/** Files and commands that give the control plane its address. Pure. */
export function kubeVip(address: string, port: number, mirror?: string) {
  const files: readonly File[] = [
    { path: manifestPath, owner: "root:root", permissions: "0644", content: manifest(address, port, mirror) },
    // Its own view of names: the node's resolver may depend on the very API it announces.
    {
      path: "/etc/kubernetes/pcg/kube-vip.hosts",
      owner: "root:root",
      permissions: "0644",
      content: "127.0.0.1 localhost kubernetes\n",
    },
    { path: scriptPath, owner: "root:root", permissions: "0700", content: identityScript },
  ];
  return {
    files,
    preKubeadmCommands: [`${scriptPath} super-admin.conf`],
    postKubeadmCommands: [`${scriptPath} admin.conf`],
  };
}

function manifest(address: string, port: number, mirror: string | undefined): string {
  const settings = {
    address,
    port: String(port),
    vip_arp: "true",
    cp_enable: "true",
    cp_namespace: "kube-system",
    svc_enable: "false",
    vip_leaderelection: "true",
    vip_leaseduration: "15",
    vip_renewdeadline: "10",
    vip_retryperiod: "2",
  };
  const env = Object.entries(settings)
    .map(([name, value]) => `        - name: ${name}\n          value: "${value}"`)
    .join("\n");
  return `apiVersion: v1
kind: Pod
metadata:
  name: kube-vip
  namespace: kube-system
spec:
  hostNetwork: true
  containers:
    - name: kube-vip
      image: ${mirrored(kubeVipImage, mirror)}
      imagePullPolicy: IfNotPresent
      args: [manager]
      env:
${env}
      securityContext:
        capabilities:
          drop: [ALL]
          add: [NET_ADMIN, NET_RAW]
      volumeMounts:
        - name: kubeconfig
          mountPath: /etc/kubernetes/admin.conf
        - name: hosts
          mountPath: /etc/hosts
  volumes:
    - name: kubeconfig
      hostPath:
        path: /etc/kubernetes/admin.conf
    - name: hosts
      hostPath:
        path: /etc/kubernetes/pcg/kube-vip.hosts
`;
}

const identityScript = `#!/bin/sh
# Which identity kube-vip uses on this node. Only where kubeadm init runs, and only where kubeadm writes super-admin.conf.
set -eu
[ -f /run/kubeadm/kubeadm.yaml ] || exit 0
minor=$(kubeadm version -o short | cut -d. -f2)
[ "$minor" -ge 29 ] || exit 0
sed -i "/hostPath:/{n;s#path: /etc/kubernetes/.*admin.conf#path: /etc/kubernetes/$1#}" ${manifestPath}
`;

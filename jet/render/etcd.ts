// An etcd that is there already: what kubeadm is told of it, and the Secrets in which Cluster API looks for the way to it. Pure.
//
// The two must be there before the KubeadmControlPlane: it finds neither, fails, and looks again only after minutes. The authority's
// key is not given (nobody has it): by its absence KCP knows that it must use the client certificate as it is.
import { apiVersionOf, type Draft, type Resource, type Secret } from "#core";
import { secret, type SpaSpec } from "#proto";
import { clusterNames } from "#proto/render/names.ts";
import { clusterLabels } from "./cluster.ts";

/** What reaches an external etcd; values in base64, as in the data of a Secret object. */
export interface EtcdAccess {
  readonly ca: string;
  readonly certificate: string;
  readonly key: Secret;
}

/** Cluster API writes its Secrets to these places on each machine. */
const pki = "/etc/kubernetes/pki";

/** kubeadm's etcd section; undefined for one member on each control-plane machine. */
export function etcdConfiguration({ controlPlane: { etcd } }: Pick<SpaSpec, "controlPlane">) {
  if (!etcd) return undefined;
  return {
    external: {
      endpoints: etcd.endpoints,
      caFile: `${pki}/etcd/ca.crt`,
      certFile: `${pki}/apiserver-etcd-client.crt`,
      keyFile: `${pki}/apiserver-etcd-client.key`,
    },
  };
}

/** The Secrets, by the names, type and label that Cluster API looks for. */
export function etcdSecrets(spec: SpaSpec, access: EtcdAccess): EtcdSecret[] {
  const names = clusterNames(spec.clusterUid, spec.clusterName);
  const one = (name: string, data: Record<string, string>): EtcdSecret => ({
    apiVersion: apiVersionOf(secret),
    kind: secret.kind,
    metadata: { name, namespace: names.namespace, labels: clusterLabels(spec) },
    type: "cluster.x-k8s.io/secret",
    data,
  });
  return [
    one(names.etcdCa, { "tls.crt": access.ca }),
    one(names.etcdClient, { "tls.crt": access.certificate, "tls.key": access.key.reveal() }),
  ];
}

export type EtcdSecret = Draft<Resource> & {
  readonly metadata: { readonly name: string };
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
};

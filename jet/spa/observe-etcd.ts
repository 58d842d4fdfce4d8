// The way to an external etcd: the Secret that the wish names, and what of it was handed to Cluster API already.
import { X509Certificate, createPrivateKey } from "node:crypto";
import { Secret, type Problem, type ResourceStore } from "#core";
import { secret, secretText, type SecretObject, type Spa } from "#proto";
import type { ClusterNames } from "#proto/render/names.ts";
import type { EtcdSeen } from "./seen.ts";

const secretField = "controlPlane.etcd.secretRef.name";

export async function readEtcd(
  store: ResourceStore,
  systemNamespace: string,
  { spec }: Pick<Spa, "spec">,
  names: ClusterNames,
  now: number,
): Promise<EtcdSeen | undefined> {
  const { etcd } = spec.controlPlane;
  if (!etcd) return undefined;
  const { name } = etcd.secretRef;
  const object = await store.get(secret, { namespace: systemNamespace, name });
  const made: SecretObject[] = [];
  for (const one of [names.etcdCa, names.etcdClient]) {
    const found = await store.get(secret, { namespace: names.namespace, name: one });
    if (found) made.push(found);
  }
  return { ...accessIn(object, `Secret ${systemNamespace}/${name}`, now), made };
}

/** What a Secret gives, or everything that is wrong with it. Pure. */
export function accessIn(
  object: SecretObject | undefined,
  where: string,
  now: number,
): Pick<EtcdSeen, "access" | "problems"> {
  const problem = (message: string): Problem => ({ field: secretField, message });
  const keys = "ca.crt, tls.crt and tls.key";
  if (!object) return { problems: [problem(`${where} does not exist; create it with ${keys}`)] };
  const { "ca.crt": ca, "tls.crt": certificate, "tls.key": key } = object.data ?? {};
  if (!ca || !certificate || !key) {
    const missing = ["ca.crt", "tls.crt", "tls.key"].filter((each) => !object.data?.[each]);
    return { problems: [problem(`${where} lacks ${missing.join(" and ")}`)] };
  }
  const problems = [
    ...certificateProblems(secretText(object, "ca.crt")!, "ca.crt", now),
    ...certificateProblems(secretText(object, "tls.crt")!, "tls.crt", now),
  ];
  if (problems.length === 0 && !fits(secretText(object, "tls.crt")!, secretText(object, "tls.key")!)) {
    problems.push("tls.key is not the key of tls.crt");
  }
  if (problems.length > 0) return { problems: problems.map((text) => problem(`${where}: ${text}`)) };
  return { access: { ca, certificate, key: new Secret(key) }, problems: [] };
}

function certificateProblems(pem: string, name: string, now: number): string[] {
  try {
    const { validTo } = new X509Certificate(pem);
    return Date.parse(validTo) <= now ? [`${name} expired on ${validTo}`] : [];
  } catch {
    return [`${name} is no certificate in PEM`];
  }
}

function fits(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

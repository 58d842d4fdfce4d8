// The control plane's own certificates.
//
//   P1. One authority a data directory, made at the first start; it vouches for the API server, its clients, and the webhooks.
//   P2. A certificate is made anew after two thirds of its life, or when it no longer says what it should. The programs read theirs
//       again by themselves: nobody restarts.
//   P3. Keys lie in files of mode 0600 in folders of mode 0700, and nowhere else.
import { X509Certificate, createPrivateKey, generateKeyPair, randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { Secret, type Clock } from "#core";
import {
  makeAuthority,
  openAuthority,
  type Authority,
  type KeyPair,
  type Subject,
} from "#core/net/authority.ts";
import { textOf, writeDurably } from "./files.ts";
import type { Layout } from "./layout.ts";
import type { ProgramName } from "./versions.ts";

const authorityDays = 3650;
const pairDays = 365;

/** The administrators of a Kubernetes API, whatever its RBAC rules say. */
const masters = "system:masters";

/** Whose certificates there are. Each program has one, for the server it is and the client it is. */
const subjects: Readonly<Partial<Record<ProgramName, Subject>>> = {
  "kube-apiserver": {
    name: "kube-apiserver",
    hosts: [
      "127.0.0.1",
      "10.96.0.1",
      "localhost",
      "kubernetes",
      "kubernetes.default",
      "kubernetes.default.svc",
    ],
  },
  "kube-controller-manager": {
    name: "system:kube-controller-manager",
    organization: masters,
    hosts: ["127.0.0.1"],
  },
  "capi-core": { name: "pcg:capi-core", organization: masters, hosts: ["127.0.0.1"] },
  cabpk: { name: "pcg:cabpk", organization: masters, hosts: ["127.0.0.1"] },
  kcp: { name: "pcg:kcp", organization: masters, hosts: ["127.0.0.1"] },
  capv: { name: "pcg:capv", organization: masters, hosts: ["127.0.0.1"] },
};

export interface Certificates {
  /** PEM: what to trust. */
  readonly ca: string;
  readonly caFile: string;
  /** Signs service accounts' tokens. */
  readonly serviceAccountKey: string;
  /** How Secrets are sealed in etcd. */
  readonly encryption: string;
  /** The gateway's own; as long-lived as the authority beside which it lies, since it sits in running clients' memory. */
  readonly admin: KeyPair;
  /** Makes anew what is due (P2); says which. */
  renew(): Promise<readonly ProgramName[]>;
}

/** The certificates in the data directory, made or made anew where need be. */
export async function settleCertificates(layout: Layout, clock: Clock): Promise<Certificates> {
  const at = (name: string) => join(layout.pki, name);
  const kept = await keptPair(layout.pki, "ca");
  const fresh = !kept || !fits(kept) || needsRenewal(kept.certificate, clock.now());
  const authority = fresh
    ? await makeAuthority("pcg control plane", clock, authorityDays)
    : await openAuthority(kept, clock, pairDays);
  if (fresh) await keepPair(layout.pki, "ca", authority);

  const issuing = await openAuthority(authority, clock, pairDays);
  const admin = await settleAdmin(layout, await openAuthority(authority, clock, authorityDays), clock);
  const renew = async () => {
    const renewed: ProgramName[] = [];
    for (const [name, subject] of Object.entries(subjects) as [ProgramName, Subject][]) {
      const dir = layout.pair(name);
      const pair = await keptPair(dir, "tls");
      if (pair && isGood(pair, subject, issuing, clock.now())) continue;
      await keepPair(dir, "tls", await issuing.issue(subject));
      renewed.push(name);
    }
    return renewed;
  };
  await renew();
  await settleText(at("sa.key"), makeRsaKey);
  await settleText(at("encryption.json"), () => Promise.resolve(encryptionConfiguration(randomBytes(32))));
  return {
    ca: authority.certificate,
    caFile: at("ca.crt"),
    serviceAccountKey: at("sa.key"),
    encryption: at("encryption.json"),
    admin,
    renew,
  };
}

async function settleAdmin(layout: Layout, authority: Authority, clock: Clock): Promise<KeyPair> {
  const subject = { name: "pcg:gateway", organization: masters };
  const kept = await keptPair(layout.pair("admin"), "tls");
  if (kept && isGood(kept, subject, authority, clock.now())) return kept;
  const made = await authority.issue(subject);
  await keepPair(layout.pair("admin"), "tls", made);
  return made;
}

/** After two thirds of its life. Pure. */
export function needsRenewal(certificate: string, now: number): boolean {
  const { validFrom, validTo } = new X509Certificate(certificate);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  return !(now < from + ((to - from) * 2) / 3);
}

/** Whether a certificate is of this authority, for this subject, and not due. */
function isGood(pair: KeyPair, subject: Subject, authority: Authority, now: number): boolean {
  const root = new X509Certificate(authority.certificate);
  const leaf = new X509Certificate(pair.certificate);
  const names = [...(subject.organization ? [`O=${subject.organization}`] : []), `CN=${subject.name}`];
  return (
    leaf.verify(root.publicKey) &&
    leaf.subject === names.join("\n") &&
    (subject.hosts ?? []).every((host) => (isIP(host) ? leaf.checkIP(host) : leaf.checkHost(host))) &&
    fits(pair) &&
    !needsRenewal(pair.certificate, now)
  );
}

/** Whether key and certificate belong together: a crash between the writes of the two leaves a pair that does not. */
function fits({ certificate, key }: KeyPair): boolean {
  return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key.reveal()));
}

/** Secrets are sealed with this key when they are written, and those that lie there unsealed can still be read. */
function encryptionConfiguration(key: Buffer): string {
  const configuration = {
    apiVersion: "apiserver.config.k8s.io/v1",
    kind: "EncryptionConfiguration",
    resources: [
      {
        resources: ["secrets"],
        providers: [
          { secretbox: { keys: [{ name: "key1", secret: key.toString("base64") }] } },
          { identity: {} },
        ],
      },
    ],
  };
  return JSON.stringify(configuration, undefined, 2);
}

async function makeRsaKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return privateKey;
}

async function settleText(path: string, make: () => Promise<string>): Promise<void> {
  if ((await textOf(path)) === undefined) await writeDurably(path, await make());
}

async function keptPair(dir: string, name: string): Promise<KeyPair | undefined> {
  const certificate = await textOf(join(dir, `${name}.crt`));
  const key = await textOf(join(dir, `${name}.key`));
  return certificate && key ? { certificate, key: new Secret(key) } : undefined;
}

/** The key goes first: whoever reads between the two writes finds a pair that does not fit, and reads again. */
async function keepPair(dir: string, name: string, pair: KeyPair): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await writeDurably(join(dir, `${name}.key`), pair.key.reveal());
  await writeDurably(join(dir, `${name}.crt`), pair.certificate);
}

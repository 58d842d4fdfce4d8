// Cluster API's and CAPV's managers as plain processes beside a Kubernetes API of the harness, with their admission and conversion
// webhooks: whatever a test writes is judged by the real ones. They have no vCenter to go to, and no credentials.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { defineKind, systemClock, type Resource } from "#core";
import { makeAuthority } from "#core/net/authority.ts";
import { kubeStore } from "#core/store/kube-store.ts";
import { byUrl, patchCrd, patchWebhooks } from "../../../controlplane/webhooks.ts";
import { binaries } from "./build.ts";
import { Child, freePorts } from "./child.ts";
import { applyCrds } from "./crds.ts";
import type { Kube } from "./kube.ts";

const managers = [
  {
    program: "capi-core",
    prefix: "capi-",
    module: "cluster-api@v1.13.5",
    crds: "config/crd/bases",
    webhooks: "config/webhook/manifests.yaml",
  },
  {
    program: "cabpk",
    prefix: "capi-kubeadm-bootstrap-",
    module: "cluster-api@v1.13.5/bootstrap/kubeadm",
    crds: "config/crd/bases",
    webhooks: "config/webhook/manifests.yaml",
  },
  {
    program: "kcp",
    prefix: "capi-kubeadm-control-plane-",
    module: "cluster-api@v1.13.5/controlplane/kubeadm",
    crds: "config/crd/bases",
    webhooks: "config/webhook/manifests.yaml",
  },
  {
    program: "capv",
    prefix: "capv-",
    module: "cluster-api-provider-vsphere@v1.16.1",
    crds: "config/default/crd/bases",
    webhooks: "config/govmomi/webhook/manifests.yaml",
  },
] as const;

const webhookKinds = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"].map((kind) =>
  defineKind({
    group: "admissionregistration.k8s.io",
    version: "v1",
    kind,
    plural: `${kind.toLowerCase()}s`,
    namespaced: false,
  }),
);

export interface Managers {
  stop(): Promise<void>;
}

/** Installs all CRDs, starts the four managers and, when their webhooks answer, their webhook configurations. */
export async function startManagers(kube: Kube): Promise<Managers> {
  const modules = join(execFileSync("go", ["env", "GOMODCACHE"]).toString().trim(), "sigs.k8s.io");
  const program = await binaries("capi");
  const authority = await makeAuthority("webhooks-ca", systemClock);
  const { certificate, key } = await authority.issue({ name: "webhooks", hosts: ["127.0.0.1"] });
  const certificates = join(kube.dir, "webhooks");
  mkdirSync(certificates, { recursive: true });
  writeFileSync(join(certificates, "tls.crt"), certificate);
  writeFileSync(join(certificates, "tls.key"), key.reveal(), { mode: 0o600 });

  const running: Child[] = [];
  const stop = async () => {
    for (const child of running.splice(0).reverse()) await child.stop();
  };
  const ports = await freePorts(managers.length * 3);
  try {
    for (const [at, manager] of managers.entries()) {
      const folder = join(modules, manager.module, manager.crds);
      const crds = readdirSync(folder)
        .filter((file) => file.includes("_"))
        .flatMap((file) => documents(join(folder, file)));
      await applyCrds(
        kube,
        crds.map((crd) => patchCrd(crd, byUrl(ports[at * 3]!, authority.certificate))) as never,
      );
    }
    for (const [at, manager] of managers.entries()) {
      const [webhook, diagnostics, health] = ports.slice(at * 3, at * 3 + 3);
      running.push(
        new Child({
          name: manager.program,
          dir: kube.dir,
          program: program(manager.program),
          args: [
            `--kubeconfig=${kube.kubeconfigPath}`,
            `--webhook-port=${webhook}`,
            `--webhook-cert-dir=${certificates}`,
            "--leader-elect=false",
            "--insecure-diagnostics",
            `--diagnostics-address=127.0.0.1:${diagnostics}`,
            `--health-addr=127.0.0.1:${health}`,
          ],
          env: { PATH: process.env["PATH"] ?? "", HOME: kube.dir, POD_NAMESPACE: "default" },
        }),
      );
    }
    for (const [at, child] of running.entries()) {
      await child.until("its webhooks", () => listens(ports[at * 3]!, authority.certificate), 60_000);
    }
    const store = await kubeStore(kube.kubeconfig, { clock: systemClock });
    for (const [at, manager] of managers.entries()) {
      const upstream = documents(join(modules, manager.module, manager.webhooks));
      for (const object of patchWebhooks(
        upstream,
        manager.prefix,
        byUrl(ports[at * 3]!, authority.certificate),
      )) {
        const kind = webhookKinds.find((each) => each.kind === object.kind);
        if (kind) await store.create(kind, object);
      }
    }
    await store.close();
    return { stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function documents(file: string): Resource[] {
  return parseAllDocuments(readFileSync(file, "utf8"))
    .map((document) => document.toJS() as Resource | null)
    .filter((object) => object !== null);
}

function listens(port: number, ca: string): Promise<true> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: "127.0.0.1", port, path: "/", ca, agent: false, timeout: 2000 },
      (response) => {
        response.resume();
        resolve(true);
      },
    );
    asked.once("timeout", () => asked.destroy(new Error("no answer")));
    asked.once("error", reject).end();
  });
}

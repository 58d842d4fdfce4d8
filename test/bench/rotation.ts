// Certificates of the embedded control plane that are about to expire: made anew, do all programs go over to the new ones in time, without
// a restart? Takes eight minutes: a program's client looks at its files every five.
//
// The control plane is started with a clock that is almost a year slow, so that what it issues expires seven minutes from now; then the
// hourly chore is played with the right clock. The API server tells in its metrics how long the certificate of each request is still good.
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:https";
import { text } from "node:stream/consumers";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBundle, startControlPlane, type ControlPlane } from "#controlplane";
import { settleCertificates } from "#controlplane/certificates.ts";
import { settleFolders } from "#controlplane/layout.ts";
import { defineKind, silentLogger, systemClock, type Clock, type Draft, type Resource } from "#core";
import { kubeStore } from "#core/store/kube-store.ts";
import { connectionFrom, type KubeConnection } from "#core/store/kube/connection.ts";
import { peerBundle } from "../peers/harness/bundle.ts";
import type { Figure } from "./figure/limits.ts";

const minute = 60_000;
const leftMs = 7 * minute;
const slow: Clock = { ...systemClock, now: () => systemClock.now() - (365 * 24 * 60 * minute - leftMs) };

const clusters = defineKind({
  group: "cluster.x-k8s.io",
  version: "v1beta2",
  kind: "Cluster",
  plural: "clusters",
});

export async function* run(): AsyncIterable<Figure> {
  const bundle = await openBundle(await peerBundle((line) => console.error(line)));
  const dataDir = mkdtempSync(join(tmpdir(), "pcg-bench-"));
  const signal = new AbortController().signal;
  const deps = { log: silentLogger, random: Math.random };
  const began = systemClock.now();
  let controlPlane: ControlPlane | undefined;
  try {
    controlPlane = await startControlPlane(
      { dataDir, bundle, fsync: false },
      { ...deps, clock: slow },
      signal,
    );
    const before = await pids(controlPlane);
    const api = await connectionFrom(controlPlane.kubeconfig);
    const { renew } = await settleCertificates(await settleFolders(dataDir), systemClock);
    yield {
      figure: "rotation: certificates made anew, expiring ones left",
      left: (await renew()).length,
      must: { left: { is: 0 } },
    };
    const at = (afterMs: number) =>
      new Promise((resolve) => setTimeout(resolve, Math.max(0, began + afterMs - systemClock.now())));

    await at(2 * minute);
    const early = await requests(api);
    yield { figure: "rotation: requests with an expiring certificate after 2 min", ...early };

    await at(leftMs - 30_000); // everybody has looked at his files, and the old ones are still good
    const renewed = await requests(api);
    await at(leftMs + minute);
    const late = await requests(api);
    yield {
      figure: "rotation: requests with an expiring certificate, in the minute and a half around its end",
      expiring: late.expiring - renewed.expiring,
      all: late.all - renewed.all,
      refused: late.refused - renewed.refused,
      must: { expiring: { is: 0 }, refused: { is: 0 }, all: { least: 1 } },
    };

    const store = await kubeStore(controlPlane.kubeconfig, { clock: systemClock });
    const key = { namespace: "default", name: "after" };
    const ref = { apiGroup: "infrastructure.cluster.x-k8s.io", kind: "VSphereCluster", name: "after" };
    await store.create(clusters, { metadata: key, spec: { infrastructureRef: ref } } as Draft<Resource>); // through a webhook
    const asked = systemClock.now();
    for (;;) {
      const object = await store.get(clusters, key);
      if (object?.metadata.finalizers?.length) break;
      if (systemClock.now() > asked + minute) throw new Error("Cluster API does not act any more");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    yield { figure: "rotation: webhooks and controllers act afterwards", ms: systemClock.now() - asked };
    yield {
      figure: "rotation: programs started again",
      count: differing(before, await pids(controlPlane)),
      must: { count: { is: 0 } },
    };
    await store.close();
  } finally {
    await controlPlane?.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function pids(controlPlane: ControlPlane): Promise<readonly (number | undefined)[]> {
  return (await controlPlane.status()).map(({ pid }) => pid);
}

function differing(a: readonly unknown[], b: readonly unknown[]): number {
  return a.filter((each, index) => each !== b[index]).length;
}

/** What the API server has counted: requests by certificate, those whose certificate had half an hour left or less, those refused. */
async function requests(api: KubeConnection): Promise<{ all: number; expiring: number; refused: number }> {
  const said = await metrics(api);
  const sum = (pattern: RegExp) =>
    [...said.matchAll(pattern)].reduce((total, [, count]) => total + Number(count), 0);
  return {
    all: sum(/^apiserver_client_certificate_expiration_seconds_count\S* (\d+)/gm),
    expiring: sum(/^apiserver_client_certificate_expiration_seconds_bucket\{le="1800"\} (\d+)/gm),
    refused: sum(/^authentication_attempts\{result="(?:error|failure)"\} (\d+)/gm),
  };
}

function metrics({ server, ca, clientCert, clientKey }: KubeConnection): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(`${server}/metrics`, { ca, cert: clientCert, key: clientKey, agent: false });
    asked.once("response", (response) => resolve(text(response))).once("error", reject);
    asked.end();
  });
}

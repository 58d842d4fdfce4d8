import { expect, it } from "vitest";
import type { Resource } from "#core";
import { byService, byUrl, patchCrd, patchWebhooks } from "./webhooks.ts";

const crd = (name: string, versions: string[]): Resource =>
  ({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name, labels: { own: "label" } },
    spec: { group: "x", versions: versions.map((each) => ({ name: each })) },
    status: { conditions: [] },
  }) as unknown as Resource;

const pem = "-----BEGIN CERTIFICATE-----\n";
const base64 = Buffer.from(pem).toString("base64");

it("a CRD with several versions is converted by its manager, and says which contracts it keeps", () => {
  const patched = patchCrd(crd("clusters.cluster.x-k8s.io", ["v1beta1", "v1beta2"]), byUrl(9443, pem));
  expect(patched.metadata.labels).toEqual({
    own: "label",
    "cluster.x-k8s.io/v1beta1": "v1beta1",
    "cluster.x-k8s.io/v1beta2": "v1beta2",
    "clusterctl.cluster.x-k8s.io": "",
    "clusterctl.cluster.x-k8s.io/move-hierarchy": "",
  });
  expect(patched.spec).toMatchObject({
    group: "x",
    conversion: {
      strategy: "Webhook",
      webhook: {
        conversionReviewVersions: ["v1", "v1beta1"],
        clientConfig: { url: "https://127.0.0.1:9443/convert", caBundle: base64 },
      },
    },
  });
  expect(patched).not.toHaveProperty("status");
});

it.each([
  [["v1beta1", "v1beta2"], { "cluster.x-k8s.io/v1beta1": "v1beta1", "cluster.x-k8s.io/v1beta2": "v1beta2" }],
  [["v1alpha4", "v1beta1"], { "cluster.x-k8s.io/v1beta1": "v1beta1" }], // CAPV up to 1.14
  [["v1beta2"], { "cluster.x-k8s.io/v1beta2": "v1beta2" }],
])("a CRD of %j promises the contracts that it keeps, and no other", (versions, labels) => {
  const { labels: patched = {} } = patchCrd(crd("vsphereclusters", versions), byUrl(9443, pem)).metadata;
  const promised = Object.entries(patched).filter(([name]) => name.startsWith("cluster.x-k8s.io/"));
  expect(Object.fromEntries(promised)).toEqual(labels);
});

it("a CRD with one version converts nothing, and few kinds are the head of a move", () => {
  const patched = patchCrd(crd("machines.cluster.x-k8s.io", ["v1beta2"]), byUrl(9443, pem));
  expect(patched.spec).not.toHaveProperty("conversion");
  expect(patched.metadata.labels).not.toHaveProperty("clusterctl.cluster.x-k8s.io/move-hierarchy");
});

const configuration = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "MutatingWebhookConfiguration",
  metadata: { name: "mutating-webhook-configuration" },
  webhooks: [
    {
      name: "default.cluster.cluster.x-k8s.io",
      failurePolicy: "Fail",
      clientConfig: { service: { name: "webhook-service", namespace: "system", path: "/mutate" } },
    },
  ],
} as unknown as Resource;

it("a webhook keeps its path and its rules, and its configuration gets a name of its own, once", () => {
  const [patched] = patchWebhooks([configuration], "capi-", byUrl(9443, pem));
  expect(patched).toMatchObject({
    metadata: { name: "capi-mutating-webhook-configuration" },
    webhooks: [
      {
        name: "default.cluster.cluster.x-k8s.io",
        failurePolicy: "Fail",
        clientConfig: { url: "https://127.0.0.1:9443/mutate", caBundle: base64 },
      },
    ],
  });
  const [again] = patchWebhooks([patched!], "capi-", byService("webhook", "capi-system", pem));
  expect(again).toMatchObject({ metadata: { name: "capi-mutating-webhook-configuration" } });
});

it("of CAPV's webhooks the one for VSphereVMs alone is not asked when nothing but the vCenter's name changes, and that is said once", () => {
  const names = ["validation.vspherevm", "validation.vspheremachine"];
  const webhooks = names.map((each) => ({
    name: `${each}.infrastructure.cluster.x-k8s.io`,
    clientConfig: { service: { path: "/validate" } },
  }));
  const capv = { ...configuration, webhooks } as Resource;
  const [once] = patchWebhooks([capv], "capv-", byUrl(9443, pem));
  const [twice] = patchWebhooks([once!], "capv-", byUrl(9443, pem));
  for (const patched of [once, twice]) {
    const conditions = (patched as unknown as { webhooks: { matchConditions?: { name: string }[] }[] })
      .webhooks;
    expect(conditions.map(({ matchConditions }) => matchConditions?.map(({ name }) => name))).toEqual([
      ["more-than-the-vcenter"],
      undefined,
    ]);
  }
});

it("a webhook behind a Service", () => {
  const [patched] = patchWebhooks([configuration], "capi-", byService("webhook", "capi-system", pem));
  expect(patched).toMatchObject({
    webhooks: [
      {
        clientConfig: {
          service: { name: "webhook", namespace: "capi-system", path: "/mutate", port: 443 },
          caBundle: base64,
        },
      },
    ],
  });
});

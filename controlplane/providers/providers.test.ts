import { X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Secret, type Resource } from "#core";
import { memoryStore } from "#core/store/memory-store.ts";
import { fakeClock } from "#core/time/fake-clock.ts";
import { builtinKinds, deployment, secret, secretText, type Deployment } from "#proto";
import { renewalAt, servingCertificate, type ServingCertificate } from "./certificate.ts";
import { providerDeployments, providerObjects, webhookHosts, type ProviderManifests } from "./objects.ts";
import { bundledProviders } from "./source.ts";

const dayMs = 86_400_000;
const never = new AbortController().signal;

function crd(name: string, versions: readonly string[]): Resource {
  const [plural = "", group = ""] = [name.slice(0, name.indexOf(".")), name.slice(name.indexOf(".") + 1)];
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name },
    spec: { group, names: { kind: "Thing", plural }, versions: versions.map((each) => ({ name: each })) },
  } as unknown as Resource;
}

const webhooks = (kind: string): Resource =>
  ({
    apiVersion: "admissionregistration.k8s.io/v1",
    kind,
    metadata: { name: "webhook-configuration" },
    webhooks: [{ name: "x", clientConfig: { service: { name: "s", namespace: "n", path: "/validate" } } }],
  }) as unknown as Resource;

const part = (version: string, name: string) => ({
  version,
  crds: [crd(`${name}.example.test`, ["v1beta1", "v1beta2"])],
  webhooks: [webhooks("MutatingWebhookConfiguration"), webhooks("ValidatingWebhookConfiguration")],
});
const manifests: ProviderManifests = {
  core: part("1.13.5", "cores"),
  bootstrap: part("1.13.5", "configs"),
  "control-plane": part("1.13.5", "planes"),
  infrastructure: part("1.16.1", "machines"),
};

const certificate: ServingCertificate = {
  certificate: "CRT",
  key: new Secret("KEY"),
  authorities: "CA",
};

describe("the providers' objects", () => {
  const waves = providerObjects(manifests, { certificate });
  const objects = waves.flat();
  const deployments = objects
    .filter(({ kind }) => kind === deployment)
    .map(({ object }) => object as Deployment);

  it("trust goes before who is trusted, and both before who runs", () => {
    const at = (kind: string) => waves.findIndex((wave) => wave.some(({ object }) => object.kind === kind));
    expect(at("CustomResourceDefinition")).toBeLessThan(at("Secret"));
    expect(at("ValidatingWebhookConfiguration")).toBeLessThan(at("Secret"));
    expect(at("Secret")).toBeLessThan(at("Deployment"));
    expect(waves[0]?.map(({ object }) => object.kind)).toEqual(["Namespace"]);
  });

  it("are what their kinds admit, and have no owner", () => {
    for (const { kind, object } of objects) {
      expect(builtinKinds.some((each) => each.kind === kind.kind) || /Webhook/.test(kind.kind)).toBe(true);
      expect(
        kind.admit?.(object as Resource) ?? {},
        `${kind.kind} ${object.metadata.name}`,
      ).not.toHaveProperty("problems");
      expect(object.metadata.ownerReferences).toBeUndefined();
    }
  });

  it("fit one control-plane machine of 4 GiB beside its control plane, and run before it has a network", () => {
    const sum = (what: "requests" | "limits") =>
      deployments
        .map(
          ({ spec }) => spec.template.spec.containers[0]!["resources"] as Record<string, { memory: string }>,
        )
        .reduce((all, resources) => all + parseInt(resources[what]!.memory), 0);
    expect(deployments).toHaveLength(4);
    expect(sum("requests")).toBeLessThanOrEqual(512);
    expect(sum("limits")).toBeLessThanOrEqual(2048);
    const ports = deployments.flatMap(({ spec }) =>
      (spec.template.spec.containers[0]!["ports"] as { containerPort: number }[]).map((p) => p.containerPort),
    );
    expect(new Set(ports).size).toBe(ports.length);
    for (const { spec } of deployments) {
      expect(spec.template.spec["hostNetwork"]).toBe(true);
      expect(spec["strategy"]).toEqual({ type: "Recreate" });
    }
  });

  it("come with images of upstream, or of the mirror with its login", () => {
    const images = (of: readonly Deployment[]) =>
      of.map(({ spec }) => spec.template.spec.containers[0]!.image);
    expect(images(deployments)).toEqual([
      "registry.k8s.io/cluster-api/cluster-api-controller:v1.13.5",
      "registry.k8s.io/cluster-api/kubeadm-bootstrap-controller:v1.13.5",
      "registry.k8s.io/cluster-api/kubeadm-control-plane-controller:v1.13.5",
      "registry.k8s.io/cluster-api-vsphere/cluster-api-vsphere-controller:v1.16.1",
    ]);
    const mirrored = providerObjects(manifests, {
      certificate,
      mirror: "registry.test/k8s",
      pullSecret: new Secret('{"auths":{}}'),
    }).flat();
    const of = mirrored.filter(({ kind }) => kind === deployment).map(({ object }) => object as Deployment);
    expect(images(of)[0]).toBe("registry.test/k8s/cluster-api/cluster-api-controller:v1.13.5");
    expect(of[0]?.spec.template.spec["imagePullSecrets"]).toEqual([{ name: "provider-images" }]);
    expect(mirrored.find(({ object }) => object.metadata.name === "provider-images")?.object).toMatchObject({
      type: "kubernetes.io/dockerconfigjson",
    });
  });

  it("give nobody everything, and CAPV no credential", () => {
    const rules = objects
      .filter(({ object }) => object.kind === "ClusterRole")
      .flatMap(
        ({ object }) =>
          (object as unknown as { rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[] })
            .rules,
      );
    for (const { apiGroups, resources, verbs } of rules) {
      expect(verbs).not.toContain("*");
      expect(apiGroups).not.toContain("*");
      if (resources.includes("*"))
        expect(apiGroups.every((group) => group.endsWith(".cluster.x-k8s.io"))).toBe(true);
    }
    const bindings = objects.filter(({ object }) => object.kind === "ClusterRoleBinding");
    expect(JSON.stringify(bindings)).not.toContain("cluster-admin");
    expect(deployments[3]?.spec.template.spec.containers[0]?.args).toContain("--credentials-file=/dev/null");
    expect(objects.filter(({ object }) => object.kind === "Secret")).toHaveLength(1);
  });

  it("have webhooks and conversions behind their Services", () => {
    const text = JSON.stringify(objects.map(({ object }) => object));
    expect(text).toContain(
      '"service":{"name":"capv-webhook-service","namespace":"capi-system","path":"/convert"',
    );
    expect(text).toContain(
      '"service":{"name":"capi-webhook-service","namespace":"capi-system","path":"/validate"',
    );
    expect(webhookHosts).toContain("capi-kubeadm-control-plane-webhook-service.capi-system.svc");
  });
});

describe("the serving certificate", () => {
  const clock = fakeClock();

  it("stays for two thirds of its life, then another takes its place, trusted beside the former", async () => {
    const first = await servingCertificate(undefined, webhookHosts, clock);
    expect(new X509Certificate(first.certificate).checkHost(webhookHosts[3]!)).toBeDefined();
    await clock.advance(200 * dayMs);
    expect(await servingCertificate(first, webhookHosts, clock)).toBe(first);
    await clock.advance(50 * dayMs);
    const second = await servingCertificate(first, webhookHosts, clock);
    expect(second.certificate).not.toBe(first.certificate);
    expect(second.authorities).toContain(first.authorities.trim());
    expect(second.authorities.match(/BEGIN/g)).toHaveLength(2);
    expect(renewalAt(second.certificate)).toBeGreaterThan(clock.now() + 200 * dayMs);
    await clock.advance(250 * dayMs);
    const third = await servingCertificate(second, webhookHosts, clock);
    expect(third.authorities).not.toContain(first.authorities.trim()); // run out by then
  });

  it.each<[string, (good: ServingCertificate) => ServingCertificate]>([
    ["what is no certificate", (good) => ({ ...good, certificate: "?" })],
    ["one that nobody trusts", (good) => ({ ...good, authorities: "" })],
  ])("is made anew in place of %s", async (_name, spoil) => {
    const good = await servingCertificate(undefined, webhookHosts, clock);
    const next = await servingCertificate(spoil(good), webhookHosts, clock);
    expect(next.certificate).toMatch(/BEGIN CERTIFICATE/);
    expect(next.certificate).not.toBe(good.certificate);
  });

  it("is made anew where the Services have other names", async () => {
    const good = await servingCertificate(undefined, ["other.svc"], clock);
    expect(await servingCertificate(good, webhookHosts, clock)).not.toBe(good);
  });
});

describe("a bundle's providers", () => {
  it("are written into a store that is no server too, with one certificate however often", async () => {
    const clock = fakeClock();
    const store = memoryStore({ clock });
    const source = bundledProviders(manifests, clock);
    const { renewAt } = await source.install(store, {}, never);
    expect(renewAt).toBeGreaterThan(clock.now());
    const key = { namespace: "capi-system", name: "provider-webhooks" };
    const first = secretText(await store.get(secret, key), "tls.crt");
    await source.install(store, {}, never);
    expect(secretText(await store.get(secret, key), "tls.crt")).toBe(first);
    for (const at of providerDeployments) expect(await store.get(deployment, at)).toBeDefined();
    expect(await source.silent(store, never)).toBeUndefined();
    await store.close();
  });

  it.each([
    ["Cluster API 1.13.5, CAPV 1.16.1", undefined],
    ["Cluster API 1.12.1, CAPV 1.15.0", undefined],
    ["Cluster API 1.13.9, CAPV 1.16.1", undefined],
    [
      "Cluster API 1.14.0, CAPV 1.17.0",
      /newer providers.*Cluster API 1\.14\.0 to 1\.13\.5, CAPV 1\.17\.0 to 1\.16\.1/,
    ],
    ["Cluster API 1.9.0, CAPV 1.12.0", /too old.*version in between/],
    ["what somebody wrote by hand", undefined],
  ])("over %s", (installed, refusal) => {
    const versions = { ...manifests, core: part("1.13.5", "c"), infrastructure: part("1.16.1", "i") };
    const why = bundledProviders(versions, fakeClock()).refuses(installed);
    if (refusal) expect(why).toMatch(refusal);
    else expect(why).toBeUndefined();
  });

  it("have another digest when what would be written is another, and never tell of a password", () => {
    const clock = fakeClock();
    const source = bundledProviders(manifests, clock);
    const newer = bundledProviders({ ...manifests, core: part("1.13.6", "cores") }, clock);
    const login = (text: string, version: string) => ({ pullSecret: { config: new Secret(text), version } });
    const digests = [
      source.digest({}),
      newer.digest({}),
      source.digest({ mirror: "registry.test" }),
      source.digest(login("a", "1")),
      source.digest(login("b", "2")),
    ];
    expect(new Set(digests).size).toBe(5);
    expect(source.digest({})).toBe(digests[0]);
    expect(source.digest(login("another", "1"))).toBe(digests[3]); // by its version alone
  });
});

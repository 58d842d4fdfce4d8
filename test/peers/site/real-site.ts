// A whole site in which only the machines are played: our plane and gateway, the gateway's embedded control plane with the real etcd,
// kube-apiserver, Cluster API and CAPV, a vcsim, and machines that form real clusters.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { applyObject } from "#core/store/helpers.ts";
import { encode64, namespace, secret } from "#proto";
import type { ResourceStore } from "#core";
import { inSubnet, takeSubnet, type Subnet } from "../../../cli/demo/subnet.ts";
import { endings, startGatewaySide, startPlaneSide, type Site, type SiteDeps } from "../../../cli/site.ts";
import { peerBundle } from "../harness/bundle.ts";
import {
  preparedVcenter,
  startExternalEtcd,
  startMachines,
  type ExternalEtcd,
  type Machines,
  type PreparedVcenter,
} from "../machines/index.ts";

/** All that a gateway finds where it is put: a plane, a vCenter with a template, an etcd for clusters, machines that are played. */
export interface Surroundings extends Pick<Site, "plane" | "client" | "apiKey"> {
  readonly vcenter: PreparedVcenter;
  readonly machines: Machines;
  readonly etcd: ExternalEtcd;
  readonly subnet: Subnet;
  /** The sample, its addresses those of this site. */
  readonly sample: string;
  /** The folder of the control plane's programs. */
  readonly programs: string;
  /** What a gateway's settings must say of it. */
  readonly settings: {
    readonly plane: { readonly url: string };
    readonly vcenter: Readonly<Record<string, string>>;
  };
  close(): Promise<void>;
}

export interface SurroundingsOptions {
  /** Each part has a folder of its own in it. */
  readonly dataDir: string;
  /** A line that can be cut lies before each cluster's API. */
  readonly line?: boolean;
  /** Says how a build is going, where programs have to be built first. */
  readonly report?: ((line: string) => void) | undefined;
}

export interface RealSite extends Surroundings, Pick<Site, "gateway"> {}

export interface RealSiteOptions extends SurroundingsOptions {
  /** Settings of the gateway over the site's own, as in gateway.yaml. */
  readonly gateway?: Readonly<Record<string, unknown>>;
}

export const samplePath = join(import.meta.dirname, "cluster.yaml");
export const templateName = "ubuntu-2204-kube-v1.35.4";

/** Starts it, the gateway unpaired. Close it in any case. */
export async function startRealSite(
  deps: SiteDeps,
  { gateway: settings, ...options }: RealSiteOptions,
  signal: AbortSignal,
): Promise<RealSite> {
  const ending = endings();
  try {
    const around = ending.own(await startSurroundings(deps, options, signal));
    const gateway = ending.own(
      await startGatewaySide(
        deps,
        {
          name: "real",
          dataDir: folderIn(options.dataDir, "gateway"),
          ...around.settings,
          controlPlane: { mode: "embedded", programs: around.programs },
          ...settings,
        },
        signal,
      ),
    );
    await keepEtcdSecret(gateway.store, around.etcd);
    return { ...around, gateway, close: ending.close };
  } catch (error) {
    await ending.close();
    throw error;
  }
}

/** Starts all but the gateway. Close it in any case. */
export async function startSurroundings(
  deps: SiteDeps,
  { dataDir, report, line = false }: SurroundingsOptions,
  signal: AbortSignal,
): Promise<Surroundings> {
  const ending = endings();
  const folder = (name: string) => folderIn(dataDir, name);
  try {
    const programs = await peerBundle(report);
    const subnet = await takeSubnet();
    ending.own({ close: () => subnet.release() });
    const [vcenter, etcd] = await Promise.all([
      preparedVcenter({ dir: folder("vcenter") }),
      startExternalEtcd({ dir: folder("etcd") }),
    ]);
    ending.own({ close: () => vcenter.stop() });
    ending.own({ close: () => etcd.stop() });
    await placeTemplate(vcenter);
    const machines = startMachines({
      dir: folder("machines"),
      vcenter: { ...vcenter, ...vcenter.hands },
      line,
    });
    ending.own({ close: () => machines.stop() });
    const { plane, client, apiKey } = ending.own(await startPlaneSide(deps, folder("plane"), signal));
    const sample = inSubnet(readFileSync(samplePath, "utf8"), subnet)
      .replaceAll("127.77.128.", subnet.prefix.replace(/0\.$/, "128.")) // its Services are listened on as well
      .replace("https://ETCD", etcd.endpoints.join(", "));
    const settings = {
      plane: { url: plane.url },
      vcenter: {
        server: vcenter.server,
        username: vcenter.user,
        password: vcenter.password.reveal(),
        thumbprint: vcenter.thumbprint,
      },
    };
    const around = { plane, client, apiKey, vcenter, machines, etcd, subnet, sample, programs, settings };
    return { ...around, close: ending.close };
  } catch (error) {
    await ending.close();
    throw error;
  }
}

function folderIn(dataDir: string, name: string): string {
  const path = join(dataDir, name);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

/** Where Jet looks for a template: in Palette's folder, named after its Kubernetes version. */
async function placeTemplate({ govc, place }: PreparedVcenter): Promise<void> {
  await govc(["folder.create", "/DC0/vm/spectro-templates"]);
  await govc(["object.mv", `/DC0/vm/${place.template}`, "/DC0/vm/spectro-templates"]);
  await govc(["object.rename", `/DC0/vm/spectro-templates/${place.template}`, templateName]);
}

/** What an operator does by hand: the client certificate for the site's etcd, where the request names it. */
export async function keepEtcdSecret(
  store: ResourceStore,
  { ca, certificate, key }: ExternalEtcd,
): Promise<void> {
  await applyObject(store, namespace, { metadata: { name: "pcg-system" } });
  await applyObject(store, secret, {
    metadata: { name: "site-etcd", namespace: "pcg-system" },
    type: "Opaque",
    data: { "ca.crt": encode64(ca), "tls.crt": encode64(certificate), "tls.key": encode64(key.reveal()) },
  });
}

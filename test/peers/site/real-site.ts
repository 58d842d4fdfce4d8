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

export interface RealSite extends Pick<Site, "plane" | "client" | "apiKey" | "gateway" | "close"> {
  readonly vcenter: PreparedVcenter;
  readonly machines: Machines;
  readonly etcd: ExternalEtcd;
  readonly subnet: Subnet;
  /** The sample, its addresses those of this site. */
  readonly sample: string;
}

export interface RealSiteOptions {
  /** Each part has a folder of its own in it. */
  readonly dataDir: string;
  /** Settings of the gateway over the site's own, as in gateway.yaml. */
  readonly gateway?: Readonly<Record<string, unknown>>;
  /** Says how a build is going, where programs have to be built first. */
  readonly report?: (line: string) => void;
}

export const samplePath = join(import.meta.dirname, "cluster.yaml");
export const templateName = "ubuntu-2204-kube-v1.35.4";

/** Starts it, the gateway unpaired. Close it in any case. */
export async function startRealSite(
  deps: SiteDeps,
  { dataDir, gateway: settings, report }: RealSiteOptions,
  signal: AbortSignal,
): Promise<RealSite> {
  const ending = endings();
  const folder = (name: string) => {
    const path = join(dataDir, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  };
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
    const machines = startMachines({ dir: folder("machines"), vcenter: { ...vcenter, ...vcenter.hands } });
    ending.own({ close: () => machines.stop() });

    const side = ending.own(await startPlaneSide(deps, folder("plane"), signal));
    const gateway = ending.own(
      await startGatewaySide(
        deps,
        {
          name: "real",
          dataDir: folder("gateway"),
          plane: { url: side.plane.url },
          vcenter: {
            server: vcenter.server,
            username: vcenter.user,
            password: vcenter.password.reveal(),
            thumbprint: vcenter.thumbprint,
          },
          controlPlane: { mode: "embedded", programs },
          ...settings,
        },
        signal,
      ),
    );
    await keepEtcdSecret(gateway.store, etcd);
    const { plane, client, apiKey } = side;
    const sample = inSubnet(readFileSync(samplePath, "utf8"), subnet).replace(
      "https://ETCD",
      etcd.endpoints.join(", "),
    );
    return { plane, client, apiKey, gateway, vcenter, machines, etcd, subnet, sample, close: ending.close };
  } catch (error) {
    await ending.close();
    throw error;
  }
}

/** Where Jet looks for a template: in Palette's folder, named after its Kubernetes version. */
async function placeTemplate({ govc, place }: PreparedVcenter): Promise<void> {
  await govc(["folder.create", "/DC0/vm/spectro-templates"]);
  await govc(["object.mv", `/DC0/vm/${place.template}`, "/DC0/vm/spectro-templates"]);
  await govc(["object.rename", `/DC0/vm/spectro-templates/${place.template}`, templateName]);
}

/** What an operator does by hand: the client certificate for the site's etcd, where the request names it. */
async function keepEtcdSecret(store: ResourceStore, { ca, certificate, key }: ExternalEtcd): Promise<void> {
  await applyObject(store, namespace, { metadata: { name: "pcg-system" } });
  await applyObject(store, secret, {
    metadata: { name: "site-etcd", namespace: "pcg-system" },
    type: "Opaque",
    data: { "ca.crt": encode64(ca), "tls.crt": encode64(certificate), "tls.key": encode64(key.reveal()) },
  });
}

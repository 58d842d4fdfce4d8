// CustomResourceDefinitions from the kinds: our own, and the IPAM ones that our IPAM serves in the in-cluster provider's place.
// The CRDs of CAPI and CAPV are not made here: a real API server gets them from upstream, and a sandbox serves the kinds directly.
import { stringify } from "yaml";
import { groupResource, type Kind, type PrinterColumn } from "#core";
import { inClusterPoolKinds, ipamKinds, metal3Kinds, ownKinds } from "./kinds/all.ts";
import { ipamGroup, metal3IpamGroup } from "./index.ts";

type Json = Record<string, unknown>;

/** File name in proto/generated/crds → text. The same kinds always give the same bytes. */
export function generateCrds(
  kinds: readonly Kind[] = [...ownKinds, ...ipamKinds, ...metal3Kinds],
): Map<string, string> {
  const head = "# Made by `npm run generate` from proto/kinds; do not edit.\n";
  return new Map(
    kinds.map((kind) => [
      `${kind.group}_${kind.plural}.yaml`,
      head + stringify(crdOf(kind), { lineWidth: 0, aliasDuplicateObjects: false }),
    ]),
  );
}

/** The CustomResourceDefinition of a kind, one version, served and stored. */
export function crdOf(kind: Kind): Json {
  const labels = crdLabels(kind);
  const columns = kind.printerColumns.map(columnOf);
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: groupResource(kind),
      ...(Object.keys(labels).length > 0 ? { labels } : {}),
    },
    spec: {
      group: kind.group,
      names: {
        ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
        singular: kind.singular,
      },
      scope: kind.namespaced ? "Namespaced" : "Cluster",
      versions: [
        {
          name: kind.version,
          served: true,
          storage: true,
          ...(columns.length > 0 ? { additionalPrinterColumns: columns } : {}),
          schema: {
            openAPIV3Schema: kind.schema ?? {
              type: "object",
              "x-kubernetes-preserve-unknown-fields": true,
            },
          },
          ...(kind.hasStatus ? { subresources: { status: {} } } : {}),
        },
      ],
    },
  };
}

/** Upstream's labels: which contract a version implements, and that a pool moves with its cluster. */
function crdLabels(kind: Kind): Record<string, string> {
  if (kind.group === metal3IpamGroup)
    return {
      "cluster.x-k8s.io/provider": "ipam-metal3",
      "cluster.x-k8s.io/v1beta1": kind.version,
      "clusterctl.cluster.x-k8s.io": "",
    };
  if (kind.group !== ipamGroup) return {};
  const isPool = inClusterPoolKinds.some((pool) => pool.kind === kind.kind);
  return {
    "cluster.x-k8s.io/v1beta2": kind.version,
    "clusterctl.cluster.x-k8s.io": "",
    ...(isPool
      ? { "cluster.x-k8s.io/provider": "ipam-in-cluster", "clusterctl.cluster.x-k8s.io/move-hierarchy": "" }
      : { "cluster.x-k8s.io/provider": "cluster-api" }),
  };
}

function columnOf(column: PrinterColumn): Json {
  return {
    name: column.name,
    type: column.type,
    jsonPath: column.jsonPath,
    ...(column.description ? { description: column.description } : {}),
    ...(column.priority ? { priority: column.priority } : {}),
  };
}

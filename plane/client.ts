// A small typed client of the plane's REST face, for the CLI, the demo and tests.
import type { Secret } from "#core";
import { planeHttp } from "#tunnel/identity/http.ts";
import type { z } from "zod";
import type {
  ClusterStatusBody,
  clusterEntitySchema,
  EventBody,
  IpPoolBody,
  MachinePoolEntity,
  OverlordBody,
  SpectroClusterBody,
  VsphereAccountBody,
} from "./rest/shapes.ts";

export interface PlaneClientOptions {
  readonly url: string;
  /** PEM of the plane's CA; the system's store when absent. */
  readonly ca?: string | undefined;
  readonly apiKey: Secret;
  /** The tenant's scope when absent. */
  readonly projectUid?: string | undefined;
}

export interface EventPage {
  readonly items: EventBody[];
  readonly listmeta: {
    readonly continue?: string | undefined;
    readonly count: number;
    readonly limit: number;
  };
}

/** Every call throws the plane's error as a Fault with its message and problems. */
export interface PlaneClient {
  pairingCode(): Promise<{ pairingCode: string; expiresAt: string }>;
  /** Makes who pairs with the code become this gateway again. */
  bindPairingCode(overlordUid: string, pairingCode: string): Promise<void>;
  overlords(name?: string): Promise<OverlordBody[]>;
  overlord(uid: string): Promise<OverlordBody>;
  updateOverlord(
    uid: string,
    metadata: { name?: string; labels?: Record<string, string>; annotations?: Record<string, string> },
  ): Promise<void>;
  revokeOverlord(uid: string, reason?: string): Promise<void>;
  /** Everything that is wanted of the gateway and its clusters' agents is sent once more. */
  resyncOverlord(uid: string): Promise<void>;
  deleteOverlord(uid: string, options?: { force?: boolean }): Promise<void>;
  overlordEvents(uid: string, page?: EventPageQuery): Promise<EventPage>;
  pools(overlordUid: string): Promise<IpPoolBody[]>;
  accounts(): Promise<VsphereAccountBody[]>;
  /** The new cluster's uid. */
  createCluster(entity: z.input<typeof clusterEntitySchema>, overlordUid?: string): Promise<string>;
  clusters(name?: string): Promise<SpectroClusterBody[]>;
  cluster(uid: string): Promise<SpectroClusterBody>;
  clusterStatus(uid: string): Promise<ClusterStatusBody>;
  clusterEvents(uid: string, page?: EventPageQuery): Promise<EventPage>;
  /** With `force`, its gateway removes by its ledger what it cannot delete in the usual way. May be asked for later. */
  deleteCluster(uid: string, options?: { force?: boolean }): Promise<void>;
  setMachinePool(clusterUid: string, name: string, pool: MachinePoolEntity): Promise<void>;
  addMachinePool(clusterUid: string, pool: MachinePoolEntity): Promise<void>;
  removeMachinePool(clusterUid: string, name: string): Promise<void>;
  openApi(): Promise<unknown>;
  close(): Promise<void>;
}

export interface EventPageQuery {
  readonly limit?: number | undefined;
  readonly continue?: string | undefined;
  /** Only events with a greater sequence. */
  readonly after?: number | undefined;
}

export function planeClient({ url, ca, apiKey, projectUid }: PlaneClientOptions): PlaneClient {
  const http = planeHttp({ url, ...(ca === undefined ? {} : { ca }) });
  const headers = {
    ApiKey: apiKey.reveal(),
    ...(projectUid === undefined ? {} : { ProjectUid: projectUid }),
  };
  const call = async <T>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: unknown) =>
    (await http.call({ method, path, headers, ...(body === undefined ? {} : { body }) })) as T;
  const get = <T>(path: string) => call<T>("GET", path);
  const items = async <T>(path: string) => (await get<{ items: T[] }>(path)).items;
  const id = encodeURIComponent;
  const pool = (uid: string, name?: string) =>
    `/v1/cloudconfigs/vsphere/${id(uid)}/machinePools${name === undefined ? "" : `/${id(name)}`}`;

  return {
    pairingCode: () => get("/v1/overlords/pairing/code?cloudType=vsphere"),
    bindPairingCode: (uid, pairingCode) => call("POST", `/v1/pcg/${id(uid)}/register`, { pairingCode }),
    overlords: (name) => items(`/v1/overlords${query({ name })}`),
    overlord: (uid) => get(`/v1/overlords/${id(uid)}`),
    updateOverlord: (uid, metadata) => call("PUT", `/v1/overlords/${id(uid)}/metadata`, { metadata }),
    revokeOverlord: (uid, reason) =>
      call("POST", `/v1/overlords/${id(uid)}/revoke`, reason === undefined ? {} : { reason }),
    resyncOverlord: (uid) => call("POST", `/v1/overlords/${id(uid)}/resync`),
    deleteOverlord: async (uid, options) =>
      void (await call("DELETE", `/v1/overlords/${id(uid)}${query({ force: options?.force })}`)),
    overlordEvents: (uid, page) => get(`/v1/overlords/${id(uid)}/events${query({ ...page })}`),
    pools: (uid) => items(`/v1/overlords/vsphere/${id(uid)}/pools`),
    accounts: () => items("/v1/cloudaccounts/vsphere"),
    createCluster: async (entity, overlordUid) =>
      (await call<{ uid: string }>("POST", `/v1/spectroclusters/vsphere${query({ overlordUid })}`, entity))
        .uid,
    clusters: (name) => items(`/v1/spectroclusters${query({ name })}`),
    cluster: (uid) => get(`/v1/spectroclusters/${id(uid)}`),
    clusterStatus: (uid) => get(`/v1/spectroclusters/${id(uid)}/status`),
    clusterEvents: (uid, page) => get(`/v1/spectroclusters/${id(uid)}/events${query({ ...page })}`),
    deleteCluster: (uid, options) =>
      call("DELETE", `/v1/spectroclusters/${id(uid)}${query({ forceDelete: options?.force })}`),
    setMachinePool: (uid, name, body) => call("PUT", pool(uid, name), body),
    addMachinePool: async (uid, body) => void (await call("POST", pool(uid), body)),
    removeMachinePool: (uid, name) => call("DELETE", pool(uid, name)),
    openApi: () => get("/v1/openapi.json"),
    close: () => http.close(),
  };
}

function query(values: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const present = Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, String(value)] as [string, string]],
  );
  return present.length === 0 ? "" : `?${new URLSearchParams(present).toString()}`;
}

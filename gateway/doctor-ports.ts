// The doctor's instruments on the real world.
import { readFile } from "node:fs/promises";
import { lookup } from "node:dns/promises";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import { isIP } from "node:net";
import { connect } from "node:tls";
import { Fault, type Clock, type Logger } from "#core";
import { keyFileSeal } from "#core/store/seal.ts";
import { kubeStore } from "#core/store/kube-store.ts";
import { loadIdentity, validity } from "#tunnel/identity/index.ts";
import {
  connectVsphere,
  fetchThumbprint,
  normaliseThumbprint,
  type InventorySnapshot,
  type PrivilegeGap,
  type PrivilegeTarget,
} from "#vsphere";
import { passwordOf } from "./account.ts";
import type { DoctorPorts } from "./doctor.ts";
import { poolsOf } from "./heartbeat.ts";
import type { GatewayOptions } from "./options.ts";
import { pemFile, planeCa } from "./files.ts";

export interface DoctorWorld {
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

const patienceMs = 10_000;

/** The ports, and the way to let go of what they hold. Throws Invalid for a configuration without a password. */
export async function doctorPorts(
  options: GatewayOptions,
  { clock, log, signal: outer }: DoctorWorld,
): Promise<{ readonly ports: DoctorPorts; close(): Promise<void> }> {
  const { dataDir, plane, vcenter } = options;
  const patience = () => AbortSignal.any([outer, AbortSignal.timeout(patienceMs)]);
  const password = passwordOf(vcenter);
  const server = vcenter.server.text;
  const ca = vcenter.ca === undefined ? undefined : await pemFile(vcenter.ca, "vcenter.ca");
  const client = connectVsphere({
    server,
    username: vcenter.username,
    password,
    thumbprint: vcenter.thumbprint,
    ca,
    clock,
    log,
  });
  const identity = async () => loadIdentity(dataDir, await keyFileSeal(join(dataDir, "key")));

  const ports: DoctorPorts = {
    plane: plane.url.href,
    vcenter: server,
    resolve: async (host) => (await lookup(host, { all: true })).map((found) => found.address),
    async planeSkewMs() {
      const known = await identity().catch(() => undefined);
      const before = clock.now();
      const at = await serverDate(plane.url, known?.ca ?? (await planeCa(options)).ca, patience());
      return at - (before + clock.now()) / 2;
    },
    async identity() {
      const known = await identity();
      if (!known) return undefined;
      return {
        uid: known.uid,
        tunnel: known.tunnel,
        expiresInMs: validity(known.certificate).untilMs - clock.now(),
      };
    },
    async reachTunnel(address) {
      const known = await identity();
      if (!known) throw new Fault("NotFound", "there is no identity");
      await tlsTo(
        address,
        { ca: known.ca, cert: known.certificate, key: known.privateKey.reveal() },
        patience(),
      );
    },
    async vcenterCertificate() {
      const seen = await fetchThumbprint(server, patience());
      const wanted = vcenter.thumbprint === undefined ? undefined : normaliseThumbprint(vcenter.thumbprint);
      if (wanted !== undefined) return { thumbprint: seen, trusted: seen === wanted };
      return {
        thumbprint: seen,
        trusted: await client.about(patience()).then(
          () => true,
          () => false,
        ),
      };
    },
    async vcenterLogin() {
      await client.checkLogin(patience());
      return { product: (await client.about(patience())).fullName };
    },
    async missingPrivileges() {
      const targets = targetsOf(await client.inventory.snapshot(patience()));
      const gaps = await client.privileges(targets, patience());
      return worstGaps(targets, gaps).map((gap) => ({ object: gap.path, privileges: gap.missing }));
    },
    async pools() {
      const store = await kubeStore(await readFile(join(dataDir, "kubeconfig"), "utf8"), { clock });
      try {
        const pools = await poolsOf(store);
        return pools.map(({ name, namespace, free, used }) => ({
          name: namespace ? `${namespace}/${name}` : name,
          free,
          total: free + used,
        }));
      } finally {
        await store.close();
      }
    },
  };
  return { ports, close: () => client.close() };
}

/** Opens and closes a TLS connection. */
function tlsTo(
  address: string,
  trust: { ca: string; cert: string; key: string },
  signal: AbortSignal,
): Promise<void> {
  const at = new URL(`tls://${address}`);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: at.hostname,
      port: Number(at.port),
      ...trust,
      ALPNProtocols: ["h2"],
      ...(isIP(at.hostname) ? {} : { servername: at.hostname }),
    });
    const onAbort = () =>
      socket.destroy(new Fault("TimedOut", `${address} did not answer in ${patienceMs / 1000} s`));
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("secureConnect", () => (socket.end(), resolve()));
    socket.once("error", (error) => reject(Fault.from(error, `connecting to ${address}`)));
    socket.once("close", () => signal.removeEventListener("abort", onAbort));
  });
}

/** When the plane thinks it is, milliseconds since 1970: the Date header of any answer. */
function serverDate(url: URL, ca: string | undefined, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const trust = ca === undefined ? { rejectUnauthorized: false } : { ca };
    const get = url.protocol === "https:" ? httpsRequest : httpRequest;
    const request = get(url, { method: "HEAD", signal, agent: false, ...trust }, (answer) => {
      answer.resume();
      const at = Date.parse(answer.headers.date ?? "");
      if (Number.isNaN(at)) reject(new Fault("Unavailable", `${url.href} answers, but not as a plane does`));
      else resolve(at);
    });
    request.once("error", (error: NodeJS.ErrnoException) => {
      const untrusted = /certificate|self-signed|self signed/i.test(error.message);
      reject(
        untrusted
          ? new Fault("Unauthorized", `${url.href}: ${error.message}`, { cause: error })
          : Fault.from(error, `calling ${url.href}`),
      );
    });
    request.end();
  });
}

/** Every object that a cluster could be placed on. */
function targetsOf(inventory: InventorySnapshot): PrivilegeTarget[] {
  const roles = ["datacenter", "cluster", "pool", "datastore", "network", "folder", "template"] as const;
  return roles.flatMap((role) => inventory.list(role).map(({ ref, path }) => ({ role, ref, path })));
}

/** Of each role the object that lacks least, where no object of that role has everything: one good one of each is enough. Pure. */
export function worstGaps(
  targets: readonly PrivilegeTarget[],
  gaps: readonly PrivilegeGap[],
): PrivilegeGap[] {
  const roles = [...new Set(targets.map((target) => target.role))];
  return roles.flatMap((role) => {
    const lacking = gaps.filter((gap) => gap.role === role);
    const some = targets.filter((target) => target.role === role).length;
    if (lacking.length < some || lacking.length === 0) return [];
    return lacking.sort((a, b) => a.missing.length - b.missing.length).slice(0, 1);
  });
}

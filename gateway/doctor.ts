// The doctor: goes down the chain on which a cluster depends, step by step, and says for each broken link what to do.
// A check never throws; a check whose ground is missing is skipped and says on which one it waits.
import { Fault } from "#core";

export interface Finding {
  /** "clock", "dns plane", "vcenter login", ... */
  readonly check: string;
  readonly state: "ok" | "warning" | "failed" | "skipped";
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string;
}

/** What the doctor needs of the world. Each call throws a Fault where the thing does not work. */
export interface DoctorPorts {
  readonly plane: string;
  readonly vcenter: string;
  /** Addresses of a name. */
  resolve(host: string): Promise<readonly string[]>;
  /** How far the plane's clock is from ours, milliseconds (positive: ours is late). */
  planeSkewMs(): Promise<number>;
  identity(): Promise<
    { readonly uid: string; readonly expiresInMs: number; readonly tunnel: string } | undefined
  >;
  /** Opens and closes a TLS connection to the tunnel endpoint with our certificate. */
  reachTunnel(address: string): Promise<void>;
  vcenterCertificate(): Promise<{ readonly thumbprint: string; readonly trusted: boolean }>;
  vcenterLogin(): Promise<{ readonly product: string }>;
  /** What the account lacks, by object. */
  missingPrivileges(): Promise<
    readonly { readonly object: string; readonly privileges: readonly string[] }[]
  >;
  pools(): Promise<readonly { readonly name: string; readonly total: number; readonly free: number }[]>;
}

/** A new cluster of one machine needs this many addresses (nodes + 3). */
const smallestCluster = 4;
const minuteMs = 60_000;
const dayMs = 86_400_000;

/** Runs all checks; yields each finding as it is known. */
export async function* examine(ports: DoctorPorts): AsyncGenerator<Finding> {
  const planeDns = await check("dns plane", () => resolves(ports, hostOf(ports.plane)), {
    otherwise: () =>
      `make ${hostOf(ports.plane)} resolvable from here (DNS server, search domain, /etc/hosts), or correct plane.url`,
  });
  yield planeDns;

  yield planeDns.state === "failed"
    ? skipped("plane", planeDns)
    : await check("plane", async () => clock(await ports.planeSkewMs()), {
        otherwise: (fault) =>
          fault.code === "Unauthorized"
            ? "give the plane's certificate authority in plane.ca, and see whether a proxy on the way replaces certificates"
            : `allow outbound TCP to ${ports.plane}, or correct plane.url`,
      });

  const identity = await ports.identity().catch(() => undefined);
  const paired = identity
    ? certificate(identity)
    : failed(
        "identity",
        "this gateway is not paired with the plane",
        "make a pairing code at the plane, then: pcg gateway pair CODE",
      );
  yield paired;
  yield !identity
    ? skipped("tunnel", paired)
    : await check(
        "tunnel",
        async () => (await ports.reachTunnel(identity.tunnel), ok(`${identity.tunnel} answers`)),
        {
          otherwise: () => `allow outbound TCP to ${identity.tunnel}; no inbound port is needed`,
        },
      );

  const vcenterDns = await check("dns vcenter", () => resolves(ports, hostOf(ports.vcenter)), {
    otherwise: () => `make ${hostOf(ports.vcenter)} resolvable from here, or correct vcenter.server`,
  });
  yield vcenterDns;
  const trust =
    vcenterDns.state === "failed"
      ? skipped("vcenter certificate", vcenterDns)
      : await check("vcenter certificate", async () => trusted(await ports.vcenterCertificate()), {
          otherwise: () => `allow TCP to ${ports.vcenter}, or correct vcenter.server (no https:// in front)`,
        });
  yield trust;
  const login =
    trust.state !== "ok"
      ? skipped("vcenter login", trust)
      : await check("vcenter login", async () => ok(`logged in; ${(await ports.vcenterLogin()).product}`), {
          otherwise: (fault) =>
            fault.code === "Unauthorized"
              ? "correct vcenter.username and vcenter.passwordFile; the gateway does not try a refused password twice, so that the account is not locked"
              : "see vCenter's own events for this user",
        });
  yield login;
  yield login.state !== "ok"
    ? skipped("vcenter privileges", login)
    : await check("vcenter privileges", async () => privileges(await ports.missingPrivileges()), {
        otherwise: () => "the account must be allowed to read the objects that clusters are placed on",
      });

  yield await check("pools", async () => room(await ports.pools()), {
    otherwise: () => "start the gateway first: its pools are read through its local API",
  });
}

interface Verdict {
  readonly state: "ok" | "warning" | "failed";
  readonly message: string;
  readonly remedy?: string;
}

const ok = (message: string): Verdict => ({ state: "ok", message });

async function check(
  name: string,
  look: () => Promise<Verdict>,
  advice: { otherwise(fault: Fault): string },
): Promise<Finding> {
  try {
    return { check: name, ...(await look()) };
  } catch (error) {
    const fault = Fault.from(error);
    return failed(name, fault.message, advice.otherwise(fault));
  }
}

function failed(check: string, message: string, remedy: string): Finding {
  return { check, state: "failed", message, remedy };
}

function skipped(check: string, because: Finding): Finding {
  return { check, state: "skipped", message: `waits for "${because.check}"` };
}

async function resolves(ports: DoctorPorts, host: string): Promise<Verdict> {
  const addresses = await ports.resolve(host);
  return ok(`${host} is ${addresses.join(", ")}`);
}

function clock(skewMs: number): Verdict {
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  if (Math.abs(skewMs) < minuteMs) return ok(`answers; the clocks differ by ${seconds} s`);
  return {
    state: Math.abs(skewMs) < 30 * minuteMs ? "warning" : "failed",
    message: `answers, but this clock is ${seconds} s ${skewMs > 0 ? "late" : "early"}`,
    remedy: "set the time from a time server (NTP): certificates are refused by wrong clocks",
  };
}

function certificate(identity: { readonly uid: string; readonly expiresInMs: number }): Finding {
  const days = Math.floor(identity.expiresInMs / dayMs);
  if (identity.expiresInMs <= 0) {
    return failed(
      "identity",
      `the certificate of gateway ${identity.uid} has expired`,
      "pair again: pcg gateway pair CODE",
    );
  }
  return {
    check: "identity",
    state: "ok",
    message: `gateway ${identity.uid}, certificate good for ${days} more days`,
  };
}

function trusted(seen: { readonly thumbprint: string; readonly trusted: boolean }): Verdict {
  if (seen.trusted) return ok(`certificate ${seen.thumbprint.slice(0, 23)}… is the expected one`);
  return {
    state: "failed",
    message: `vCenter shows the certificate ${seen.thumbprint}, which is not the configured one`,
    remedy: `if that is vCenter's own (compare at its console), set vcenter.thumbprint to it`,
  };
}

function privileges(
  missing: readonly { readonly object: string; readonly privileges: readonly string[] }[],
): Verdict {
  if (missing.length === 0) return ok("the account has every privilege that is needed");
  const lines = missing.map(({ object, privileges: names }) => `${object}: ${names.join(", ")}`);
  return {
    state: "failed",
    message: `privileges are missing: ${lines.join("; ")}`,
    remedy: "add them to the account's role on these objects (docs/security.md lists the whole role)",
  };
}

function room(
  pools: readonly { readonly name: string; readonly total: number; readonly free: number }[],
): Verdict {
  if (pools.length === 0) {
    return {
      state: "warning",
      message: "there is no pool of addresses",
      remedy: "apply an InClusterIPPool: pcg apply -f pool.yaml",
    };
  }
  const text = pools.map(({ name, total, free }) => `${name} ${free} of ${total} free`).join(", ");
  if (pools.some((pool) => pool.free >= smallestCluster)) return ok(text);
  return {
    state: "warning",
    message: `no pool has room for a cluster, which needs nodes + 3 addresses: ${text}`,
    remedy: "add addresses to a pool: kubectl edit inclusterippool NAME",
  };
}

/** "https://plane.example:7443/x" and "vcenter.example:443" are both a host. */
export function hostOf(address: string): string {
  const bare = address.replace(/^[a-z]+:\/\//, "").replace(/\/.*$/, "");
  return bare.startsWith("[") ? bare.slice(1, bare.indexOf("]")) : bare.replace(/:\d+$/, "");
}

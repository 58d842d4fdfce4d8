// Asks the wire whether an address is in use, as an ordinary user: one UDP datagram makes the kernel resolve the address, and its ARP
// table tells what came of that. Hosts that drop pings still answer ARP.
//
//   N1. "taken" is certain (a hardware address answered). "free" is said only of an address that the kernel tried in vain.
//   N2. An address that is not on a network of this host is "unknown": routers answer for others. IPv6 too, for now.
import { createSocket } from "node:dgram";
import { readFile } from "node:fs/promises";
import { sleep, type Clock } from "#core";
import { formatAddress, type Address } from "../address.ts";

export type ProbeResult =
  { readonly kind: "free" } | { readonly kind: "taken"; readonly mac: string } | { readonly kind: "unknown" };

export interface Prober {
  probe(address: Address, signal: AbortSignal): Promise<ProbeResult>;
}

export interface ArpWire {
  /** Sends something to the address that needs its hardware address. Failing is no matter. */
  readonly nudge: (address: string) => Promise<void>;
  /** The text of /proc/net/arp. */
  readonly table: () => Promise<string>;
}

/** One that is free is known after the kernel's three tries, a second each. */
const patienceMs = 3_600;
const lookEveryMs = 20;

export function arpProber({ clock, wire }: { readonly clock: Clock; readonly wire: ArpWire }): Prober {
  return {
    async probe(address, signal) {
      if (address.family !== 4) return { kind: "unknown" }; // N2
      const text = formatAddress(address);
      await wire.nudge(text);
      const until = clock.now() + patienceMs;
      let wasTried = false;
      for (;;) {
        const entry = arpEntry(await wire.table(), text);
        if (entry?.kind === "resolved") return { kind: "taken", mac: entry.mac };
        if (entry) wasTried = true;
        if (clock.now() >= until) return { kind: wasTried ? "free" : "unknown" }; // N1
        await sleep(clock, lookEveryMs, signal);
      }
    },
  };
}

type ArpEntry = { readonly kind: "resolved"; readonly mac: string } | { readonly kind: "tried" };

/** What the kernel's table says of an address: columns IP, hardware type, flags (2: complete), hardware address. Pure. */
export function arpEntry(table: string, address: string): ArpEntry | undefined {
  for (const line of table.split("\n").slice(1)) {
    const [ip, , flags = "0", mac = ""] = line.trim().split(/\s+/);
    if (ip !== address) continue;
    const isComplete = (Number.parseInt(flags, 16) & 2) !== 0 && mac !== "00:00:00:00:00:00";
    return isComplete ? { kind: "resolved", mac } : { kind: "tried" };
  }
  return undefined;
}

/** The wire of this host: port 9 (discard) is where the datagram goes. */
export const systemWire: ArpWire = {
  table: () => readFile("/proc/net/arp", "utf8").catch(() => ""),
  nudge: (address) =>
    new Promise((resolve) => {
      const socket = createSocket("udp4");
      const done = () => {
        socket.close();
        resolve();
      };
      socket.once("error", done);
      socket.send(Buffer.alloc(1), 9, address, done);
    }),
};

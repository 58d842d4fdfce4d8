// The sandbox's addresses are loopback addresses that are really listened on; two demos at once need two subnets.
import { createServer, type Server } from "node:net";
import { Fault } from "#core";

export interface Subnet {
  /** "127.77.0." */
  readonly prefix: string;
  /** Lets another demo have it. */
  release(): Promise<void>;
}

const sample = "127.77.0.";

/** The first subnet from 127.77.0 on that nobody uses here; a listener on its gateway address marks it as ours. */
export async function takeSubnet(): Promise<Subnet> {
  for (let second = 77; second < 127; second++) {
    const prefix = `127.${second}.0.`;
    const marker = await listen(`${prefix}1`, 6443).catch(() => undefined);
    if (marker) return { prefix, release: () => new Promise((resolve) => marker.close(() => resolve())) };
  }
  throw new Fault("Busy", "no loopback subnet from 127.77.0 to 127.126.0 is free: end the other demos first");
}

/** The sample's text with its addresses moved to this subnet. */
export function inSubnet(text: string, { prefix }: Pick<Subnet, "prefix">): string {
  return text.replaceAll(sample, prefix);
}

function listen(host: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", reject);
    server.listen(port, host, () => resolve(server));
  });
}

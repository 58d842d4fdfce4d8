// What the played controllers knowingly write otherwise than the real ones. Listed in the README; the golden tests leave out nothing else.
import type { Exception } from "./compare.ts";

const secretGeneration: Exception = {
  object: /^Secret\//,
  path: /^metadata\.generation$/,
  why: "an API server gives Secrets no generation; our stores give every object one",
};

export const unplayed: {
  readonly running: readonly Exception[];
  readonly provisioning: readonly Exception[];
} = {
  running: [secretGeneration],
  provisioning: [
    {
      object: /^Cluster\//,
      path: /^status\.conditions\[RemoteConnectionProbe\]\.observedGeneration$/,
      why: "upstream writes the probe from its cache of connections, a generation late; ours is written with all others",
    },
  ],
};

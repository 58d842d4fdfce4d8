import { systemClock } from "#core";
import { transportContract } from "./contract.ts";
import { memoryPair } from "./memory.ts";

transportContract("memory", () => Promise.resolve(memoryPair({ clock: systemClock })));
transportContract("memory with 1 ms each way", () =>
  Promise.resolve(memoryPair({ clock: systemClock, delayMs: 1 })),
);

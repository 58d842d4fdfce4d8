// Two processes at once without a lead: nothing keeps them apart but reservations.
import { dropClaims, makeClaims, namesOf, onSite, settled } from "./site.ts";
import { Process } from "./process.ts";
import { perClaim, writes } from "./writes.ts";
import type { Figure } from "../figure/limits.ts";

export function run(count: number): AsyncGenerator<Figure> {
  return onSite(async function* ({ kube, client }) {
    const both = [new Process("kube", kube.kubeconfigPath), new Process("kube", kube.kubeconfigPath)];
    try {
      await Promise.all(both.map((each) => each.hear("ready")));
      const before = await writes(kube);
      const started = Date.now();
      await makeClaims(client, namesOf(count));
      const { addresses, distinct, ...full } = await settled(client, count, 1_200_000);
      yield {
        figure: "two at once, bound",
        ...full,
        addresses,
        givenTwice: addresses - distinct,
        ms: Date.now() - started,
        ...perClaim(await writes(kube), before, count),
        must: { isSettled: { is: true }, givenTwice: { is: 0 } },
      };
      const releasing = Date.now();
      await dropClaims(client, namesOf(count));
      yield {
        figure: "two at once, released",
        ...(await settled(client, 0, 1_200_000)),
        ms: Date.now() - releasing,
        must: { isSettled: { is: true } },
      };
    } finally {
      for (const each of both) await each.kill();
    }
  });
}

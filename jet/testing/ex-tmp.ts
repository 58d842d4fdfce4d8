import { explore } from "/work/wt/pivot/jet/testing/explorer.ts";
for (const b of JSON.parse(process.argv[2]!)) {
  const t = performance.now();
  const r = await explore({ maxStates: 300000, ...b });
  console.log(JSON.stringify(b), r.states, r.worlds, r.cutShort, Math.round(performance.now() - t), "ms");
  if (r.wrong) console.log(r.wrong.what + "\n  " + r.wrong.how.join("\n  "));
}

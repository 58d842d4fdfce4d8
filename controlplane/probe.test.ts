import { expect, it } from "vitest";
import { judge } from "./probe.ts";

it.each([
  [200, "ok", { ready: true }],
  [
    500,
    "[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/x failed: not finished\n",
    { ready: false, says: "not ready: etcd, poststarthook/x" },
  ],
  [503, '{"health":"false","reason":"RAFT NO LEADER"}', { ready: false, says: "RAFT NO LEADER" }],
  [502, "", { ready: false, says: "it answers with status 502" }],
])("status %i %j", (status, text, expected) => {
  expect(judge(status, text)).toEqual(expected);
});

it("etcd's alarm is told in words, with what to do", () => {
  const answer = judge(503, '{"health":"false","reason":"ALARM NOSPACE"}');
  expect(answer).toMatchObject({ says: expect.stringMatching(/quota.*delete what is not needed/) as string });
});

import { expect, test } from "vitest";
import type { Read } from "./soap/types.ts";
import { outcome } from "./tasks.ts";

const info = (more: Partial<Read<"TaskInfo">>) => more as Read<"TaskInfo">;

test.each(["queued", "running"] as const)("a task that is %s has no outcome yet", (state) => {
  expect(outcome("cloning", info({ state }))).toBeUndefined();
});

test("a task that succeeded has its result", () => {
  expect(outcome("cloning", info({ state: "success", result: 5 }))).toEqual({ kind: "done", result: 5 });
});

test("a task that failed has the fault with the words of what was being done", () => {
  const error = {
    fault: { $type: "NoDiskSpace", datastore: "ds", file: "f", faultMessage: [] },
    localizedMessage: "full",
  } as const;
  expect(outcome("cloning 'n'", info({ state: "error", error }))).toMatchObject({
    kind: "failed",
    fault: {
      code: "Unavailable",
      type: "NoDiskSpace",
      message: "cloning 'n': datastore 'ds' has no room left",
    },
  });
});

test("a task that failed without saying why still fails", () => {
  expect(outcome("cloning 'n'", info({ state: "error" }))).toMatchObject({
    kind: "failed",
    fault: { code: "Unavailable" },
  });
});

import { inspect } from "node:util";
import { expect, test } from "vitest";
import { Secret } from "./secret.ts";

test("a secret is given out when asked for, and by nothing else", () => {
  const secret = new Secret("hunter2");
  expect(secret.reveal()).toBe("hunter2");
  const shown = [
    String(secret),
    `${secret as unknown as string}`,
    JSON.stringify({ deep: { secret } }),
    inspect(secret),
    inspect({ deep: [secret] }, { depth: 9, showHidden: true }),
    Object.keys(secret).join(),
    JSON.stringify(Object.entries(secret)),
    JSON.stringify({ ...secret }),
  ];
  for (const text of shown) expect(text).not.toContain("hunter2");
  expect(String(secret)).toBe("***");
});

import { describe, expect, test } from "vitest";
import { chooseVersion, compareVersions } from "./version.ts";

const listing = (...versions: string[]) =>
  `<namespaces version="1.0"><namespace><name>urn:vim25</name><version>${versions[0]}</version><priorVersions>${versions
    .slice(1)
    .map((version) => `<version>${version}</version>`)
    .join(
      "",
    )}</priorVersions></namespace><namespace><name>urn:vim2</name><version>2.0</version></namespace></namespaces>`;

describe("the version spoken", () => {
  test.each([
    ["the server's, when it is older than ours", listing("7.0.3.0", "7.0", "6.7"), "7.0.3.0"],
    [
      "the newest it still knows that is not newer than ours",
      listing("9.1.0.0", "9.0.0.0", "8.0.3.0", "8.0.1.0"),
      "8.0.3.0",
    ],
    ["none, when it says nothing of the kind", "<html/>", undefined],
    ["none, when all it knows is newer", listing("99.0"), undefined],
  ])("is %s", (_, xml, version) => {
    expect(chooseVersion(xml)).toBe(version);
  });

  test("compares numbers, not letters", () => {
    expect(["6.10", "6.9", "6.9.1"].sort(compareVersions)).toEqual(["6.9", "6.9.1", "6.10"]);
  });
});

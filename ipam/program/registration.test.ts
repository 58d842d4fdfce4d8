import { expect, test } from "vitest";
import { admittedKinds, validatingWebhooks } from "./registration.ts";

test("pools wait for admission; what our controllers write goes on without it", () => {
  const { webhooks = [] } = validatingWebhooks(admittedKinds, {
    kind: "url",
    url: "https://pcg.example.com",
  });
  const policies = Object.fromEntries(webhooks.map(({ name, failurePolicy }) => [name, failurePolicy]));
  expect(policies).toEqual({
    "validation.inclusterippool.ipam.cluster.x-k8s.io": "Fail",
    "validation.globalinclusterippool.ipam.cluster.x-k8s.io": "Fail",
    "validation.inclusterprefixpool.ipam.cluster.x-k8s.io": "Fail",
    "validation.globalinclusterprefixpool.ipam.cluster.x-k8s.io": "Fail",
    "validation.ippool.ipam.metal3.io": "Fail",
    "validation.ipclaim.ipam.metal3.io": "Ignore",
    "validation.ipaddress.ipam.metal3.io": "Ignore",
  });
});

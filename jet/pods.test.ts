import { expect, it } from "vitest";
import type { Pod } from "#proto";
import { withAdvice } from "./advice.ts";
import { podTrouble } from "./pods.ts";
import { wish } from "./testing/world.ts";

const pod = (name: string, status: object) => ({ metadata: { name }, status }) as unknown as Pod;
const waiting = (reason: string, message = "") => ({
  containerStatuses: [{ image: "registry.test/a:v1", state: { waiting: { reason, message } } }],
});

it.each<[string, object, object | undefined]>([
  [
    "an image that cannot be had",
    waiting("ImagePullBackOff", "Back-off pulling image"),
    { code: "ImagePullBackOff", message: "registry.test/a:v1: Back-off pulling image", object: "Pod/p" },
  ],
  [
    "a program that ends",
    waiting("CrashLoopBackOff"),
    { code: "CrashLoopBackOff", message: "registry.test/a:v1: CrashLoopBackOff", object: "Pod/p" },
  ],
  [
    "no node that takes it",
    {
      conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/1 nodes" }],
    },
    { code: "Unschedulable", message: "0/1 nodes", object: "Pod/p" },
  ],
  ["a container that is being made", waiting("ContainerCreating"), undefined],
  ["nothing at all", {}, undefined],
])("a pod with %s", (_name, status, expected) => {
  expect(podTrouble([pod("p", status)])).toEqual(expected);
});

it("of several in trouble the first by name is told, and what to do about its image", () => {
  const found = podTrouble([pod("b", waiting("ErrImagePull")), pod("a", waiting("ErrImagePull", "denied"))])!;
  expect(found.object).toBe("Pod/a");
  expect(withAdvice(found, wish()).message).toMatch(/jet\.images/);
});

import { expect, test } from "vitest";
import { imageBaseName, mirrored } from "./images.ts";

test.each([
  ["registry.k8s.io/a/b:v1", "mirror.test", "mirror.test/a/b:v1"],
  ["registry.k8s.io/a/b:v1", "mirror.test:5000/cache/", "mirror.test:5000/cache/a/b:v1"],
  ["localhost/b", "mirror.test", "mirror.test/b"],
  ["library/b@sha256:00", "mirror.test", "mirror.test/library/b@sha256:00"],
  ["pcg-agent", "mirror.test", "mirror.test/pcg-agent"],
  ["registry.k8s.io/a/b:v1", undefined, "registry.k8s.io/a/b:v1"],
])("the image %s, mirrored at %s, is %s", (image, mirror, expected) => {
  expect(mirrored(image, mirror)).toBe(expected);
});

test.each([
  ["registry.test:5000/a/manager:v1", "manager"],
  ["manager@sha256:00", "manager"],
  ["manager", "manager"],
])("the base name of %s is %s", (image, expected) => {
  expect(imageBaseName(image)).toBe(expected);
});

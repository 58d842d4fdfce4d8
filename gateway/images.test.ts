import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { imageSource } from "./images.ts";
import type { GatewayOptions } from "./options.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pcg-images-"));
});
afterAll(() => rm(folder, { recursive: true }));

const told = (images: Partial<GatewayOptions["jet"]["images"]>) =>
  imageSource({ jet: { images: { agent: "pcg-agent", ...images } } } as GatewayOptions);

const file = async (name: string, text: string) => {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
};

it("images come from their own registries unless told, with the logins of a Docker config", async () => {
  expect(await told({})).toEqual({ mirror: undefined });
  const config = JSON.stringify({ auths: { "registry.example": { auth: "dXNlcjpwYXNz" } } });
  const source = await told({
    registry: "registry.example",
    pullSecretFile: await file("good.json", config),
  });
  expect(source.mirror).toBe("registry.example");
  expect(source.pullSecret?.config.reveal()).toBe(config);
  expect(JSON.stringify(source)).not.toContain("dXNlcjpwYXNz");
});

it("a file that is no Docker config is refused by its option's name, without its content", async () => {
  await expect(told({ pullSecretFile: join(folder, "none.json") })).rejects.toThrow(
    /^jet\.images\.pullSecretFile: .*none\.json cannot be read/,
  );
  const wrong = told({ pullSecretFile: await file("wrong.json", "hush-hush") });
  await expect(wrong).rejects.toThrow(/is no Docker config/);
  await expect(wrong).rejects.not.toThrow(/hush/);
});

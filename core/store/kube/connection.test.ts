import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { stringify } from "yaml";
import { connectionFrom } from "./connection.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "kubeconfig-"))));
afterEach(() => rm(folder, { recursive: true }));

function kubeconfig(cluster: object, user: object): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user }],
    contexts: [
      { name: "other", context: { cluster: "none", user: "none" } },
      { name: "x", context: { cluster: "c", user: "u" } },
    ],
    "current-context": "x",
  });
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

test("a kubeconfig with everything in it", async () => {
  const text = kubeconfig(
    {
      server: "https://10.0.0.1:6443",
      "certificate-authority-data": base64("the authority"),
      "tls-server-name": "kubernetes",
      "proxy-url": "http://proxy:3128",
    },
    {
      "client-certificate-data": base64("the certificate"),
      "client-key-data": base64("the key"),
      token: "t",
    },
  );
  expect(await connectionFrom(text)).toEqual({
    server: "https://10.0.0.1:6443",
    ca: "the authority",
    clientCert: "the certificate",
    clientKey: "the key",
    token: "t",
    serverName: "kubernetes",
    proxyUrl: "http://proxy:3128",
  });
});

test("files are looked for beside the kubeconfig, and a token file is read again each time", async () => {
  await writeFile(join(folder, "ca.crt"), "the authority\n");
  await writeFile(join(folder, "token"), "first\n");
  await writeFile(
    join(folder, "config"),
    kubeconfig({ server: "https://a", "certificate-authority": "ca.crt" }, { tokenFile: "token" }),
  );
  const connection = await connectionFrom({ kubeconfigFile: join(folder, "config") });
  expect(connection.ca).toBe("the authority");
  const token = connection.token as () => Promise<string>;
  expect(await token()).toBe("first");
  await writeFile(join(folder, "token"), "second\n");
  expect(await token()).toBe("second");
});

test("a credential plugin is asked for its token", async () => {
  const plugin = join(folder, "plugin");
  const answer = {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    status: { token: "from the plugin" },
  };
  await writeFile(plugin, `#!/bin/sh\necho '${JSON.stringify(answer)}'\n`);
  await chmod(plugin, 0o700);
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: plugin, interactiveMode: "Never" };
  const connection = await connectionFrom(kubeconfig({ server: "https://a" }, { exec }));
  expect(connection.server).toBe("https://a");
  expect(await (connection.token as () => Promise<string>)()).toBe("from the plugin");
});

test.each<[string, string, RegExp]>([
  ["no YAML", "a: [", /not YAML/],
  ["empty", "", /empty/],
  ["no context", stringify({ "current-context": "x" }), /no context "x"/],
  ["no server", kubeconfig({}, {}), /no server for cluster "c"/],
  [
    "a missing file",
    kubeconfig({ server: "https://a", "certificate-authority": "/nowhere" }, {}),
    /\/nowhere/,
  ],
])("a kubeconfig with %s is Invalid", async (_, text, message) => {
  await expect(connectionFrom(text)).rejects.toMatchObject({
    code: "Invalid",
    message: expect.stringMatching(message) as string,
  });
});

import { describe, expect, it } from "vitest";
import { apiSettings } from "./api-settings.ts";

const external = { endpoints: ["https://127.0.0.1:2379"], caFile: "/ca", certFile: "/crt", keyFile: "/key" };
const files = ["/ca", "/crt", "/key"].map((path) => ({ path, content: `content of ${path}` }));
const seed = (configuration: Record<string, unknown> | undefined, given = files) => ({
  endpoint: { host: "127.31.0.1", port: 6443 },
  authority: { certificate: "certificate", key: "key" },
  files: given,
  ...(configuration ? { configuration } : {}),
});

describe("what an API server is told", () => {
  it("all of it", () => {
    const networking = { serviceSubnet: "127.88.0.0/16" };
    expect(apiSettings(seed({ clusterName: "c1", networking, etcd: { external } }))).toEqual({
      clusterName: "c1",
      etcd: {
        endpoints: ["https://127.0.0.1:2379"],
        tls: { ca: "content of /ca", certificate: "content of /crt", key: "content of /key" },
      },
      prefix: expect.stringMatching(/^\/pcg-peers\/c1-[0-9a-f]{12}$/),
      serviceCidr: "127.88.0.0/16",
      serviceIp: "127.88.0.1",
    });
  });

  it("by default; plain etcd needs no files", () => {
    const plain = { ...external, endpoints: ["http://127.0.0.1:2379"] };
    const settings = apiSettings(seed({ etcd: { external: plain } }, []));
    expect(settings).toMatchObject({ serviceIp: "10.96.0.1", etcd: { endpoints: plain.endpoints } });
    expect(settings.etcd.tls).toBeUndefined();
  });

  it("another authority is another part of etcd, though the name be the same", () => {
    const one = seed({ clusterName: "c1", etcd: { external } });
    const other = { ...one, authority: { certificate: "another", key: "key" } };
    expect(apiSettings(one).prefix).not.toBe(apiSettings(other).prefix);
  });

  it.each([
    ["no init", seed(undefined), /begins with kubeadm init/],
    ["stacked etcd", seed({ etcd: { local: {} } }), /name an external one/],
    ["a file that is missing", seed({ etcd: { external } }, files.slice(1)), /no file '\/ca'/],
    [
      "a network that is none",
      seed({ etcd: { external }, networking: { serviceSubnet: "fd00::/108" } }),
      /'fd00::\/108' is no IPv4 network/,
    ],
  ])("refuses %s", (_, given, words) => {
    expect(() => apiSettings(given)).toThrow(words);
  });
});

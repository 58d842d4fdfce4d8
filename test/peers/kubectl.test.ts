// The real kubectl against our REST face. Each command runs on a real kube-apiserver as well, and both must say the same.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { apiVersionOf, groupResource } from "#core";
import { ipamKinds, metal3Kinds, ownKinds } from "#proto";
import { gizmo } from "./harness/gizmo.ts";
import { normal, plain } from "./harness/normal.ts";
import { samples } from "./harness/samples.ts";
import { startSides, type Outcome, type Side, type Sides } from "./harness/sides.ts";

const crdKinds = [...ownKinds, ...ipamKinds, ...metal3Kinds];

let sides: Sides;
beforeAll(async () => {
  const groups = new Set(samples.map(([kind]) => kind.group));
  sides = await startSides([gizmo, ...crdKinds.filter((kind) => groups.has(kind.group))]); // whole groups: discovery tells them
});
afterAll(() => sides?.close());

interface Options {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What still differs, made the same. */
  readonly soften?: (text: string) => string;
}

/** Runs a command on both sides, compares, and gives what it said. */
async function both(
  args: readonly string[],
  { input, env, soften = (text) => text }: Options = {},
): Promise<Outcome> {
  const [real, ours] = await Promise.all(
    [sides.real, sides.ours].map((side) => side.kubectl(args, input, env)),
  );
  const soft = ({ code, out, err }: Outcome) => ({ code, out: soften(out), err: soften(err) });
  expect(soft(normal(ours!)), `kubectl ${args.join(" ")}`).toEqual(soft(normal(real!)));
  return normal(ours!);
}

/** Splits at blanks; words with blanks stand in quotes. */
function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plainWord]) => quoted ?? plainWord ?? "");
}

/** Works on both sides, and says the same. */
function same(line: string, options?: Options): void {
  it(`kubectl ${line}`, async () => expect((await both(words(line), options)).code).toBe(0));
}

/** Fails on both sides, and says the same. */
function fails(line: string, options?: Options): void {
  it(`kubectl ${line} fails`, async () => expect((await both(words(line), options)).code).not.toBe(0));
}

const gizmoYaml = (name: string, spec: string, more = "") => `apiVersion: peers.pcg.dev/v1
kind: Gizmo
metadata:
  name: ${name}
  labels: {app: ${name}, tier: front}
${more}spec: ${spec}
`;

const file = (name: string) => join(sides.dir, name);
const write = (name: string, text: string) => writeFileSync(file(name), text);

describe("what there is", () => {
  same("api-resources --api-group=peers.pcg.dev -o wide");
  same("api-resources --api-group=peers.pcg.dev --namespaced=false");
  same("api-versions", {
    soften: (text) =>
      text
        .split("\n")
        .filter((line) => line.startsWith("peers"))
        .join(),
  });
  same("explain gizmos", { soften: (text) => text.replace(/(<string>|<ObjectMeta>)\n( .*\n)+/g, "$1\n") });
  same("explain gz.spec");
  same("explain gizmos.spec.nics --recursive");
  same("explain gizmos.status.conditions");
  fails("explain gizmos.spec.none");
  same("explain gizmos.metadata.labels", { soften: (text) => text.replace(/DESCRIPTION:[^]*/, "") });
  same("get gizmos");
  fails("get nothings");
  fails("get gizmo none");
  same("get --raw /readyz");
  same("auth can-i create gizmos");
  same("auth can-i delete secrets -n default");
});

describe("create and apply", () => {
  same("create -f -", { input: gizmoYaml("made", "{size: 1}") });
  fails("create -f -", { input: gizmoYaml("made", "{size: 1}") });
  same("apply -f -", { input: gizmoYaml("a", "{size: 2, nics: [{name: eth0, mtu: 9000}, {name: eth1}]}") });
  same("apply -f -", { input: gizmoYaml("a", "{size: 2, nics: [{name: eth0, mtu: 9000}, {name: eth1}]}") });
  fails("diff -f -", { input: gizmoYaml("a", "{size: 3, nics: [{name: eth0}], note: new}") });
  same("apply -f -", { input: gizmoYaml("a", "{size: 3, nics: [{name: eth0}], note: new}") });
  same("apply -f - --dry-run=server", { input: gizmoYaml("a", "{size: 4}") });
  same("apply -f - --dry-run=server -o yaml", { input: gizmoYaml("dry", "{size: 4}") });
  fails("get gizmo dry");
  same("apply -f - -o name", {
    input: gizmoYaml("b", "{size: 5, color: blue, active: true, extra: {k: v}}"),
  });
  same("replace -f -", { input: gizmoYaml("made", "{size: 9}") });
  same("create -f - -o name", {
    input: gizmoYaml("x", "{size: 1}").replace("name: x", "generateName: some-"),
    soften: (text) => text.replace(/some-\w{5}/, "some-NAME"),
  });
  same("delete gizmos -l app=x", { soften: (text) => text.replace(/some-\w{5}/, "some-NAME") });
  same("replace --force -f -", { input: gizmoYaml("made", "{size: 8}") });
  fails("create -f - -n nowhere", { input: gizmoYaml("lost", "{size: 1}") });
  same("apply -f - --prune -l app=a --prune-allowlist=peers.pcg.dev/v1/Gizmo", {
    input: gizmoYaml("a", "{size: 3, nics: [{name: eth0}], note: new}"),
  });
});

describe("mistakes", () => {
  const causes = (text: string) => text.replace(/(\* )?(spec\.\w+): .*/g, "$2").replace(/<nil>: .*\n/g, "");
  fails("apply -f -", { input: gizmoYaml("bad", "{size: 2, sise: 3, nics: [{nmae: x, name: y}]}") });
  same("apply -f - --validate=warn", { input: gizmoYaml("warned", "{size: 2, sise: 3}") });
  same("apply -f - --validate=false", { input: gizmoYaml("warned", "{size: 2, sise: 4}") });
  fails("create -f -", { input: gizmoYaml("bad", "{size: 200}"), soften: causes });
  fails("create -f -", {
    input: gizmoYaml("Bad_Name", "{size: 2}"),
    soften: (text) => text.replace(/metadata\.name: .*/, ""),
  });
  fails("create -f -", { input: gizmoYaml("a", "{size: 2}").replace("Gizmo", "Gadget") });
  fails('patch gizmo a --type=merge -p \'{"spec":{"size":"large"}}\'', { soften: causes });
  fails('patch gizmo a -p \'{"spec":{"size":7}}\'', {
    soften: (text) => text.replace(/:[^:]*accepted media types.*/, ""),
  });
  fails("get gizmos -l 'a b'", { soften: (text) => text.replace(/(unable to parse requirement).*/, "$1") });
  fails("get gizmos --field-selector spec.size=3");
  fails("label gizmo a tier=back");
  same("get gizmos --server-print=false -l app=warned -o jsonpath={.items[*].spec}");
});

describe("reading", () => {
  same("get gizmos");
  same("get gz -o wide");
  same("get gizmo a b --show-labels");
  same("get gizmo/a -o yaml");
  same("get gizmo/b -o json");
  same("get gizmos -o name");
  same("get gizmos --no-headers");
  same("get gizmos -l 'app in (a,b),tier=front' -o name");
  same("get gizmos -l 'app notin (a),!none' -o name");
  same("get gizmos -L app,tier");
  same("get gizmos --field-selector metadata.name=b");
  same("get gizmos --field-selector metadata.name!=b -o name");
  same("get gizmos --sort-by=.spec.size");
  same("get gizmos --chunk-size=1");
  same("get gizmos -A");
  same("get peers");
  same("get gizmos,namespaces -o name", { soften: (text) => text });
  fails("get gizmo a none");
  same("get gizmos -o 'custom-columns=NAME:.metadata.name,SIZE:.spec.size,FIRST:.spec.nics[0].name'");
  same("get gizmo a -o jsonpath={.spec.nics[*].name}");
  same("get gizmo a -o go-template={{.spec.size}}");
  same("describe gizmo a");
  same("describe gizmos -l app=b");
  same("get gizmos -o yaml");
  same("get gizmo a -o jsonpath-as-json={.spec}");
  same("apply view-last-applied gizmo/a");
});

describe("changing", () => {
  same("label gizmo a tier=back --overwrite");
  same("label gizmos --all stage=one");
  same("label gizmo a stage-");
  same("annotate gizmo a example.dev/note=hello");
  same('patch gizmo a --type=merge -p \'{"spec":{"size":7,"note":null}}\'');
  same('patch gizmo a --type=merge -p \'{"spec":{"size":7}}\'');
  same('patch gizmo a --type=json -p \'[{"op":"replace","path":"/spec/nics/0/name","value":"ens1"}]\'');
  fails('patch gizmo a --type=json -p \'[{"op":"remove","path":"/spec/none"}]\'', {
    soften: (text) => text.replace(/(the server rejected|The request is invalid|The Gizmo)[^]*/, "refused"),
  });
  same(
    'patch gizmo a --subresource=status --type=merge -p \'{"status":{"phase":"Half","conditions":[{"type":"Ready","status":"True","reason":"Done","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}\'',
  );
  same("get gizmo a --subresource=status");
  same("edit gizmo b", { env: { KUBE_EDITOR: "sed -i s/blue/green/" } });
  fails("set env gizmo/a X=1");
  fails("scale gizmo a --replicas=2");
  fails("rollout status gizmo/a");
  same("get gizmos -o wide");
  same("get gizmo a -o jsonpath={.metadata.generation}");
});

describe("waiting", () => {
  same("wait gizmo/a --for=condition=Ready --timeout=10s");
  fails("wait gizmo/b --for=condition=Ready --timeout=1s");
  same("wait gizmo/a --for=jsonpath={.status.phase}=Half --timeout=10s");
  same("wait gizmo/a --for=create --timeout=10s");
  same("wait gizmo/none --for=delete --timeout=10s");
  fails("wait gizmo/made --for=delete --timeout=1s");

  it("kubectl wait sees what happens while it waits", async () => {
    const waiting = both(["wait", "gizmo/b", "--for=condition=Ready", "--timeout=20s"]);
    const status = {
      conditions: [
        {
          type: "Ready",
          status: "True",
          reason: "R",
          message: "",
          lastTransitionTime: "2026-01-01T00:00:00Z",
        },
      ],
    };
    await both([
      "patch",
      "gizmo",
      "b",
      "--subresource=status",
      "--type=merge",
      "-p",
      JSON.stringify({ status }),
    ]);
    expect(await waiting).toMatchObject({ code: 0, err: "" });
  });
});

describe("server-side apply", () => {
  same("apply --server-side -f -", { input: gizmoYaml("s", "{size: 1, note: mine, extra: {a: b, c: d}}") });
  same("apply --server-side -f -", { input: gizmoYaml("s", "{size: 1, note: mine, extra: {a: b, c: d}}") });
  same("get gizmo s -o yaml");
  same("apply --server-side -f -", { input: gizmoYaml("s", "{size: 2, extra: {a: b}}") });
  same("get gizmo s -o jsonpath={.spec}");
  fails("apply --server-side --field-manager=other -f -", { input: gizmoYaml("s", "{size: 3}") });
  same("apply --server-side --field-manager=other --force-conflicts -f -", {
    input: gizmoYaml("s", "{size: 3}"),
  });
  same("get gizmo s -o jsonpath={.spec}");
  same("apply --server-side --dry-run=server -f -", { input: gizmoYaml("s2", "{size: 3}") });
  fails("apply --server-side -f -", {
    input: gizmoYaml("s", "{sise: 3}"),
    soften: (text) => text.replace(/^(Error from server).*/, "$1"),
  });
  same("get gizmo s -o yaml --show-managed-fields");
});

describe("watching", () => {
  async function story(
    side: Side,
    args: readonly string[],
    steps: readonly (readonly string[])[],
    count: number,
  ): Promise<string[]> {
    const follower = side.follow(args);
    try {
      await until(() => follower.lines().length > 0);
      for (const step of steps) {
        const before = follower.lines().length;
        expect((await side.kubectl(step)).code).toBe(0);
        await until(() => follower.lines().length > before);
      }
      await until(() => follower.lines().length >= count);
      return follower.lines().map(plain);
    } finally {
      await follower.stop();
    }
  }

  async function until(reached: () => boolean): Promise<void> {
    for (const deadline = Date.now() + 15_000; !reached();) {
      if (Date.now() > deadline) throw new Error("waited in vain for a watch");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  const change = (size: number) => ["patch", "gizmo", "w", "--type=merge", "-p", `{"spec":{"size":${size}}}`];

  it.each([
    ["get -w", ["get", "gizmo", "w", "-w"]],
    ["get -w of all, as events", ["get", "gizmos", "-l", "app=w", "-w", "--output-watch-events"]],
    ["get -w -o name", ["get", "gizmos", "--field-selector", "metadata.name=w", "-w", "-o", "name"]],
    ["get -w -o json", ["get", "gizmos", "-l", "app=w", "-w", "-o", "jsonpath={.spec.size}{'\\n'}"]],
  ])("%s tells the same story", async (_name, args) => {
    await both(["apply", "-f", "-"], { input: gizmoYaml("w", "{size: 1}") });
    const steps = [change(2), change(3), ["delete", "gizmo", "w"]];
    const [real, ours] = await Promise.all(
      [sides.real, sides.ours].map((side) => story(side, args, steps, 4)),
    );
    expect(ours).toEqual(real);
    expect(ours!.length).toBeGreaterThanOrEqual(4);
  });
});

describe("kinds of Kubernetes itself", () => {
  const bare = (text: string) => text.replace(/^ {2}generation: \d+\n/gm, "");
  same("create namespace team");
  same("get namespace team");
  same("get ns team -o yaml", { soften: bare });
  same("create configmap c --from-literal=a=1 --from-literal=b=2 -n team");
  same("get configmaps -n team --field-selector metadata.name=c");
  same("get cm c -n team -o yaml", { soften: bare });
  same("describe cm c -n team");
  same('patch cm c -n team -p \'{"data":{"a":null,"c":"3"}}\'');
  same("get cm c -n team -o jsonpath={.data}");
  same("create secret generic s --from-literal=password=x -n team");
  same("get secret s -n team");
  same("get secret s -n team -o yaml", { soften: bare });
  same("describe secret s -n team");
  same("apply -f -", {
    input: "apiVersion: v1\nkind: Secret\nmetadata: {name: t, namespace: team}\nstringData: {a: b}\n",
  });
  same("apply -f -", {
    input: "apiVersion: v1\nkind: Secret\nmetadata: {name: t, namespace: team}\nstringData: {a: c}\n",
  });
  same("get secret t -n team -o jsonpath={.data}");
  same("apply -f -", {
    input: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d, namespace: team}\ndata: {a: b, c: d}\n",
  });
  same("apply -f -", {
    input: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d, namespace: team}\ndata: {a: b, e: f}\n",
  });
  same("get cm d -n team -o jsonpath={.data}");
  same("create serviceaccount robot -n team");
  same("create role reader --verb=get,list --resource=gizmos.peers.pcg.dev -n team");
  same("create rolebinding readers --role=reader --serviceaccount=team:robot -n team");
  same("get role reader -n team -o jsonpath={.rules}");
  same("get rolebinding readers -n team -o jsonpath={.subjects}{.roleRef}");
  same("label ns team owner=me");
});

describe("events", () => {
  const event = (name: string, reason: string) => `apiVersion: v1
kind: Event
metadata: {name: ${name}, namespace: default}
involvedObject: {apiVersion: peers.pcg.dev/v1, kind: Gizmo, name: a, namespace: default}
type: Normal
reason: ${reason}
message: it was ${reason}
source: {component: test}
firstTimestamp: "2026-01-01T00:00:00Z"
lastTimestamp: "2026-01-01T00:00:00Z"
count: 1
`;
  const seen = (text: string) => text.replace(/^\s*\d+d\s+/gm, "  ").replace(/\d+d/g, "AGE");
  same("create -f -", { input: event("e1", "Made") });
  same("create -f -", { input: event("e2", "Changed") });
  same("get events -n default --field-selector involvedObject.kind=Gizmo", { soften: seen });
  same("get events -n default --field-selector involvedObject.name=none");
  same("events --for gizmo/a", { soften: seen });
  same("describe gizmo a", { soften: seen });
});

describe("deleting", () => {
  same("apply -f -", { input: gizmoYaml("held", "{size: 1}", "  finalizers: [peers.pcg.dev/hold]\n") });
  same("delete gizmo held --wait=false");
  same(
    "get gizmo held -o jsonpath={.metadata.finalizers}{.metadata.deletionGracePeriodSeconds}{.metadata.generation}",
  );
  fails("delete gizmo held --timeout=1s");
  same('patch gizmo held --type=merge -p \'{"metadata":{"finalizers":null}}\'');
  fails("get gizmo held");
  fails("delete gizmo none");
  same("delete gizmo none --ignore-not-found");
  same("delete gizmo a --dry-run=server");
  same("delete gizmo a --cascade=orphan");
  same("delete gizmos -l app=b");
  same("delete -f -", { input: gizmoYaml("made", "{size: 9}") });
  same("delete gizmos --all", { soften: (text) => text.split("\n").sort().join("\n") });
  same("get gizmos");
  same("delete namespace team --timeout=60s");
  fails("get namespace team");
});

describe.each(samples.map(([kind, parts]) => ({ name: kind.kind, kind, parts })))(
  "our own kind $name",
  ({ kind, parts }) => {
    const object = JSON.stringify({
      apiVersion: apiVersionOf(kind),
      kind: kind.kind,
      metadata: { name: "sample", ...(kind.namespaced ? { namespace: "default" } : {}) },
      ...parts,
    });
    const type = groupResource(kind);
    const metaFields = (text: string) => text.replace(/(<string>|<ObjectMeta>)\n( .*\n)+/, "$1\n");

    same(`api-resources --api-group=${kind.group}`);
    same(`explain ${type} --recursive`, { soften: (text) => metaFields(metaFields(metaFields(text))) });
    same("apply -f -", { input: object });
    same("apply -f -", { input: object });
    same(`get ${type}`);
    same(`get ${type} sample -o wide`);
    same(`get ${type} sample -o yaml`);
    same(`describe ${type} sample`);
    same(`delete ${type} sample`);
  },
);

it("a file with many objects is applied and deleted as one", async () => {
  write("many.yaml", [1, 2, 3].map((n) => gizmoYaml(`m${n}`, `{size: ${n}}`)).join("---\n"));
  await both(["apply", "-f", file("many.yaml")]);
  await both(["get", "-f", file("many.yaml")]);
  await both(["delete", "-f", file("many.yaml")]);
});

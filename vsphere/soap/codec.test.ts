import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { messageReader, type Message } from "./reader.ts";
import {
  dataFields,
  dataTypes,
  enums,
  isEnum,
  isScalar,
  methodParams,
  methods,
  parseDescriptor,
  type Field,
} from "./table.ts";
import { writeFault, writeRequest, writeResponse, typed } from "./writer.ts";

const target = { type: "VirtualMachine", value: "vm-1" };

function readRequest(xml: string): Message {
  const reader = messageReader({ fields: methodParams });
  reader.write(xml);
  return reader.end();
}

function readResponse(method: keyof typeof methods, xml: string, pieces = 1): unknown {
  const { returns } = methods[method] as { returns?: string };
  const fields = new Map(returns ? [["returnval", parseDescriptor(returns)]] : []);
  const reader = messageReader({ fields: (name) => (name === `${method}Response` ? fields : undefined) });
  const size = Math.ceil(xml.length / pieces);
  for (let at = 0; at < xml.length; at += size) reader.write(xml.slice(at, at + size));
  return reader.end().value.returnval;
}

const envelope = (body: string) =>
  `<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><e:Body>${body}</e:Body></e:Envelope>`;

describe("the table", () => {
  test("names no type that it does not have", () => {
    const known = (type: string) =>
      type === "any" || type === "ref" || isScalar(type) || isEnum(type) || type in dataTypes;
    const strangers = Object.entries({ ...dataTypes, ...methods }).flatMap(([name, row]) => {
      const shape = row as { fields?: object; params?: object; returns?: string; base?: string };
      const descriptors = [
        ...Object.values(shape.fields ?? shape.params ?? {}),
        ...(shape.returns ? [shape.returns] : []),
      ];
      const types = [
        ...descriptors.map((each: string) => parseDescriptor(each).type),
        ...(shape.base ? [shape.base] : []),
      ];
      return types.filter((type) => !known(type)).map((type) => `${name}: ${type}`);
    });
    expect(strangers).toEqual([]);
    expect(Object.keys(dataTypes).length).toBeGreaterThan(150);
  });
});

describe("the writer", () => {
  test("puts fields in the order of the schema, whatever order they are given in", () => {
    const xml = writeRequest("CloneVM_Task", target, {
      spec: { powerOn: false, template: false, location: { pool: { type: "ResourcePool", value: "p" } } },
      name: "a",
      folder: { type: "Folder", value: "f" },
    });
    const order = ["<_this", "<folder", "<name>", "<spec", "<location", "<template>", "<powerOn>"].map(
      (tag) => xml.indexOf(tag),
    );
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order[0]).toBeGreaterThan(0);
  });

  test("names the type of every object, reference and untyped value", () => {
    const spec = {
      extraConfig: [{ $type: "OptionValue", key: "k", value: true }],
      deviceChange: [{ operation: "add", device: { $type: "VirtualVmxnet3", key: -1 } }],
    };
    const xml = writeRequest("ReconfigVM_Task", target, { spec });
    expect(xml).toContain('<_this type="VirtualMachine" xsi:type="ManagedObjectReference">vm-1</_this>');
    expect(xml).toContain('<device xsi:type="VirtualVmxnet3">');
    expect(xml).toContain('<value xsi:type="xsd:boolean">true</value>');
  });

  test("refuses a field that the table does not know, rather than drop it", () => {
    const write = () => writeRequest("ReconfigVM_Task", target, { spec: { numCpus: 2 } });
    expect(write).toThrow("VirtualMachineConfigSpec has no field numCpus");
  });

  test("escapes what would end an element or an attribute", () => {
    const xml = writeRequest("Login", target, { userName: `<&>"'`, password: "a\u0000b\rc" });
    expect(readRequest(xml).value).toMatchObject({ userName: `<&>"'`, password: "a\uFFFDb\rc" });
  });
});

describe("the reader", () => {
  test("reads an array of one as an array, and one that is absent as empty", () => {
    const content = `<returnval><obj type="Folder">f</obj><propSet><name>n</name><val i:type="xsd:string">v</val></propSet></returnval>`;
    const xml = envelope(
      `<RetrievePropertiesResponse xmlns="urn:vim25">${content}</RetrievePropertiesResponse>`,
    );
    expect(readResponse("RetrieveProperties", xml)).toMatchObject([
      { obj: { type: "Folder", value: "f" }, propSet: [{ name: "n", val: "v" }], missingSet: [] },
    ]);
  });

  test("reads untyped values by the type the wire says: scalars, references, arrays, objects", () => {
    const vals = [
      [`i:type="xsd:int"`, "7", 7],
      [`i:type="xsd:boolean"`, "true", true],
      [`i:type="xsd:dateTime"`, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"],
      [`type="Folder" i:type="ManagedObjectReference"`, "f", { type: "Folder", value: "f" }],
      [`i:type="ArrayOfString"`, "<string>a</string><string>b</string>", ["a", "b"]],
      [
        `i:type="ArrayOfManagedObjectReference"`,
        `<ManagedObjectReference type="Folder">f</ManagedObjectReference>`,
        [{ type: "Folder", value: "f" }],
      ],
      [`i:type="VirtualMachinePowerState"`, "poweredOn", "poweredOn"],
      [
        `i:type="ArrayOfOptionValue"`,
        `<OptionValue i:type="OptionValue"><key>k</key><value i:type="xsd:string">v</value></OptionValue>`,
        [{ $type: "OptionValue", key: "k", value: "v" }],
      ],
      [`i:type="EnumerationOfTomorrow"`, "someValue", "someValue"],
      [`i:type="xsd:string"`, "", ""],
    ] as const;
    const xml = envelope(
      `<RetrievePropertiesResponse><returnval><obj type="x">y</obj>${vals
        .map(
          ([attributes, text], index) =>
            `<propSet><name>p${index}</name><val ${attributes}>${text}</val></propSet>`,
        )
        .join("")}</returnval></RetrievePropertiesResponse>`,
    );
    const [object] = readResponse("RetrieveProperties", xml) as [{ propSet: { val: unknown }[] }];
    expect(object.propSet.map(({ val }) => val)).toEqual(vals.map(([, , value]) => value));
  });

  test("keeps a type it does not know, tagged, and skips a field it does not know", () => {
    const val = `<val i:type="GadgetOfTomorrow"><size>3</size><size>4</size><inner><name>n</name></inner></val>`;
    const xml = envelope(
      `<RetrievePropertiesResponse><returnval><obj type="x">y</obj><novelty><deep>1</deep></novelty><propSet><name>p</name>${val}</propSet></returnval></RetrievePropertiesResponse>`,
    );
    expect(readResponse("RetrieveProperties", xml)).toEqual([
      {
        $type: "ObjectContent",
        obj: { type: "x", value: "y" },
        missingSet: [],
        propSet: [
          {
            $type: "DynamicProperty",
            name: "p",
            val: {
              $type: "GadgetOfTomorrow",
              $text: "",
              $fields: { size: ["3", "4"], inner: [{ $type: "", $text: "", $fields: { name: ["n"] } }] },
            },
          },
        ],
      },
    ]);
  });

  test("keeps the name of an unknown subtype with the fields of its base", () => {
    const device = `<device i:type="VirtualGadget"><key>5</key><spin>fast</spin></device>`;
    const xml = envelope(
      `<ReconfigVM_Task><_this type="VirtualMachine">v</_this><spec><deviceChange>${device}</deviceChange></spec></ReconfigVM_Task>`,
    );
    const { spec } = readRequest(xml).value as { spec: { deviceChange: { device: unknown }[] } };
    expect(spec.deviceChange[0]!.device).toEqual({ $type: "VirtualGadget", key: 5 });
  });

  test.each([
    ["a DOCTYPE", `<!DOCTYPE e [<!ENTITY x "y">]>${envelope("<Logout/>")}`, "DOCTYPE"],
    ["an entity of its own", envelope("<Logout>&x;</Logout>"), "entity"],
    ["text that breaks off", envelope("<Logout/>").slice(0, -9), "unclosed"],
    [
      "depth beyond the limit",
      envelope(`<Logout>${"<a>".repeat(200)}${"</a>".repeat(200)}</Logout>`),
      "deeper",
    ],
    ["two calls in a Body", envelope("<Logout/><Logout/>"), "more than one"],
    ["a call nobody expects", envelope("<Explode/>"), "not expected"],
    ["no envelope", "<html></html>", "no SOAP envelope"],
    ["an empty Body", envelope(""), "empty"],
  ])("refuses %s", (_, xml, why) => {
    expect(() => readRequest(xml)).toThrow(why);
  });

  test("reads a fault with its type and fields", () => {
    const xml = writeFault("no", { $type: "NoPermission", object: target, privilegeId: "System.Read" } as {
      $type: string;
    });
    const reader = messageReader({ fields: () => undefined });
    reader.write(xml);
    expect(reader.end()).toMatchObject({
      name: "Fault",
      value: {
        faultstring: "no",
        detail: {
          $fields: {
            NoPermissionFault: [{ $type: "NoPermission", object: target, privilegeId: "System.Read" }],
          },
        },
      },
    });
  });
});

// Values of any type of the table, to write and read back.
const text = fc.string({ unit: "grapheme", maxLength: 12 });
const reference = fc.record({
  type: fc.constantFrom("Folder", "VirtualMachine"),
  value: fc.stringMatching(/^[a-z]{1,6}-\d{1,4}$/),
});
const anyValue = fc.oneof(
  text,
  fc.boolean(),
  fc.integer(),
  reference,
  fc.array(text, { maxLength: 3 }).map((list) => typed("string[]", list)),
);

function arbitrary(field: Field, depth: number): fc.Arbitrary<unknown> | undefined {
  const one = arbitraryOne(field.type, depth);
  if (!one) return field.optional ? fc.constant(undefined) : undefined;
  if (field.many) return fc.array(one, { maxLength: 3 });
  return field.optional ? fc.option(one, { nil: undefined }) : one;
}

function arbitraryOne(type: string, depth: number): fc.Arbitrary<unknown> | undefined {
  if (type === "string") return text;
  if (type === "dateTime")
    return fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) })
      .map((date) => date.toISOString());
  if (type === "boolean") return fc.boolean();
  if (isScalar(type)) return fc.integer();
  if (type === "any") return anyValue;
  if (type === "ref") return reference;
  if (isEnum(type)) return fc.constantFrom(...enums[type as keyof typeof enums]);
  return depth > 0 ? dataObject(type, depth - 1) : undefined;
}

function dataObject(type: string, depth: number): fc.Arbitrary<unknown> | undefined {
  const model: Record<string, fc.Arbitrary<unknown>> = { $type: fc.constant(type) };
  for (const [name, field] of dataFields(type) ?? []) {
    const value = arbitrary(field, depth);
    if (!value) return undefined;
    model[name] = value;
  }
  return fc.record(model);
}

/** What reading back gives: arrays always there, absent members absent, typed lists plain. */
function expected(value: unknown, type: string): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("descriptor" in value) return (value as unknown as { value: unknown }).value;
  const fields = dataFields((value as { $type?: string }).$type ?? type);
  if (!fields) return value;
  const given = value as Readonly<Record<string, unknown>>;
  const out: Record<string, unknown> = { $type: given.$type };
  for (const [name, field] of fields) {
    const item = given[name];
    if (field.many) out[name] = ((item ?? []) as unknown[]).map((each) => expected(each, field.type));
    else if (item !== undefined) out[name] = expected(item, field.type);
  }
  return out;
}

test("whatever is written is read back as it was, in one piece or in many", () => {
  const types = Object.keys(dataTypes).filter((type) => dataObject(type, 3));
  const sample = fc
    .constantFrom(...types)
    .chain((type) => dataObject(type, 3)!.map((value) => ({ type, value })));
  fc.assert(
    fc.property(sample, fc.integer({ min: 1, max: 50 }), ({ type, value }, pieces) => {
      const xml = writeResponse("RetrieveProperties", [
        { obj: target, propSet: [{ name: "p", val: typed(type, value) }] },
      ]);
      const [object] = readResponse("RetrieveProperties", xml, pieces) as [{ propSet: { val: unknown }[] }];
      expect(object.propSet[0]!.val).toEqual(expected(value, type));
    }),
    { numRuns: 150 },
  );
});

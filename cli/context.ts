// Where `pcg` finds the plane and the gateway: a small file that `pcg demo` writes, or that a person writes once.
import { readFile, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { Fault } from "#core";

const contextSchema = z.strictObject({
  plane: z
    .strictObject({
      url: z.string(),
      /** PEM, or absent where the system's authorities do. */
      ca: z.string().optional(),
      apiKey: z.string().optional(),
      apiKeyFile: z.string().optional(),
    })
    .optional(),
  gateway: z.strictObject({ kubeconfig: z.string(), config: z.string().optional() }).optional(),
});
export type Context = z.infer<typeof contextSchema>;

export interface ContextFile {
  readonly path: string;
  readonly context: Context;
}

/** Reads the context. A missing file is an error that says how to make one. Paths in it are relative to the file. */
export async function readContext(path: string): Promise<ContextFile> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new Fault(
      "Invalid",
      `no context at ${path}: run \`pcg demo\` first, or name one with --context FILE or PCG_CONTEXT (docs/getting-started.md shows one)`,
      { cause: error },
    );
  }
  const parsed = contextSchema.safeParse(parse(text));
  if (!parsed.success) {
    throw new Fault("Invalid", `the context ${path} is not right`, {
      problems: parsed.error.issues.map((issue) => ({ field: issue.path.join("."), message: issue.message })),
    });
  }
  const { plane, gateway } = parsed.data;
  const at = (file: string) => resolve(dirname(path), file);
  return {
    path,
    context: {
      ...(plane && {
        plane: {
          ...plane,
          ...(plane.apiKeyFile && { apiKey: (await readFile(at(plane.apiKeyFile), "utf8")).trim() }),
        },
      }),
      ...(gateway && {
        gateway: {
          ...gateway,
          kubeconfig: at(gateway.kubeconfig),
          ...(gateway.config && { config: at(gateway.config) }),
        },
      }),
    },
  };
}

/** Writes the context for its owner's eyes only: it may hold an API key. */
export async function writeContext(path: string, context: Context): Promise<void> {
  await writeFile(path, stringify(context), { mode: 0o600 });
}

export function planeOf(file: ContextFile): NonNullable<Context["plane"]> {
  if (file.context.plane) return file.context.plane;
  throw new Fault("Invalid", `the context ${file.path} names no plane; add plane.url and plane.apiKeyFile`);
}

export function gatewayOf(file: ContextFile): NonNullable<Context["gateway"]> {
  if (file.context.gateway) return file.context.gateway;
  throw new Fault("Invalid", `the context ${file.path} names no gateway; add gateway.kubeconfig`);
}

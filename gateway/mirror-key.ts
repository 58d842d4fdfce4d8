// The key that agents seal their mirrors for. Its private half lies in the data directory, sealed, and never leaves it; the public
// half and a token of its own reach each cluster in the Secret that Jet installs there, past the plane.
import { join } from "node:path";
import { boxKeyOf, Fault, makeBoxKey, Secret, tokenFor, type BoxKey } from "#core";
import type { Seal } from "#core/store/seal.ts";
import { readSecretFile, writeSecretFile } from "#tunnel/identity/index.ts";

const place = "mirror key";

/** The key of this data directory; made on first use. A lost one costs nothing for long: Jet brings the new one to every cluster it reaches. */
export async function mirrorKey(dataDir: string, seal: Seal): Promise<BoxKey> {
  const path = join(dataDir, "mirror.key");
  const text = await readSecretFile(path);
  if (text === undefined) {
    const key = makeBoxKey();
    const sealed = seal.seal(Buffer.from(key.privateKey.reveal()), place);
    await writeSecretFile(path, Buffer.from(sealed).toString("base64"));
    return key;
  }
  try {
    const bytes = seal.open(Buffer.from(text, "base64"), place);
    return boxKeyOf(new Secret(Buffer.from(bytes).toString()));
  } catch (cause) {
    throw new Fault(
      "Invalid",
      `${path} does not open with this data directory's key file: restore both together, or remove ${path} and have every cluster mirrored anew`,
      { cause },
    );
  }
}

/** Which token a cluster's agent seals with; it follows from the key, so that nothing has to be remembered. */
export function mirrorToken(key: BoxKey, clusterUid: string): Secret {
  return tokenFor(key, `mirror ${clusterUid}`);
}

// What a look at a cluster needs, and remembers from one look to the next.
import type { ImageSource, JetDeps, JetOptions, ProviderSource } from "../ports.ts";
import type { CertificateMemory, CloudMemory } from "./observe-cloud.ts";
import type { EndpointMemory } from "./observe-endpoint.ts";

export interface Observer {
  readonly deps: JetDeps;
  readonly options: Required<Pick<JetOptions, "systemNamespace" | "workloadTimeoutMs">> & {
    readonly providers: ProviderSource;
    readonly imageSource: ImageSource;
  };
  readonly memory: CloudMemory;
  readonly certificates: CertificateMemory;
  readonly endpoints: EndpointMemory;
}

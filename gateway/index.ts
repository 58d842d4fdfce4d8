// The door of the gateway.
import { referencePage } from "#core/options/index.ts";
import { gatewayOptions } from "./options.ts";

export { gatewayOptions, type GatewayOptions } from "./options.ts";
export { planeCa } from "./files.ts";
export type { GatewayDeps } from "./deps.ts";
export { startGateway, type RunningGateway } from "./wiring.ts";
export { runAgent, type AgentPod } from "./workload-program.ts";
export { examine, type DoctorPorts, type Finding } from "./doctor.ts";
export { accountOf, type VcenterAccount } from "./account.ts";
export { followedEyes, type FollowedEyes } from "./followed-eyes.ts";
export { openVcenterEyes, type VcenterEyes } from "./vm-witness.ts";
export { controlPlaneDir, embeddedPrograms } from "./control-plane.ts";
export { doctorPorts } from "./doctor-ports.ts";

/** The reference page of the gateway's options, markdown. */
export function optionsPage(): string {
  return referencePage(gatewayOptions, "Options of pcg gateway");
}

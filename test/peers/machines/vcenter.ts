// A vcsim that Cluster API can work with: one cluster of hosts, a template with a snapshot, and no other machine.
import { makeVcsimTemplate, vcsimFacts } from "#vsphere/contract.ts";
import { startVcsim, type Vcsim, type VcsimOptions } from "../harness/vsphere.ts";

export interface PreparedVcenter extends Vcsim {
  /** "127.0.0.1:34567". */
  readonly server: string;
  /** Names for a VSphereMachineTemplate. */
  readonly place: typeof vcsimFacts;
  /** Paths of all machines but the template: what `/DC0/vm` must hold none of in the end. */
  machines(): Promise<string[]>;
}

export async function preparedVcenter(options: VcsimOptions): Promise<PreparedVcenter> {
  const vcsim = await startVcsim({ ...options, size: { "standalone-host": 0, ...options.size } });
  try {
    const server = new URL(vcsim.url).host;
    const { user, password, thumbprint } = vcsim;
    await makeVcsimTemplate({ server, username: user, password, thumbprint });
    const template = `/DC0/vm/${vcsimFacts.template}`;
    return {
      ...vcsim,
      server,
      place: vcsimFacts,
      async machines() {
        const found = await vcsim.govc(["find", "/DC0/vm", "-type", "m"]);
        return found.split("\n").filter((path) => path !== "" && path !== template);
      },
    };
  } catch (error) {
    await vcsim.stop();
    throw error;
  }
}

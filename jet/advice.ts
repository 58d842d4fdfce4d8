// What a person can do about a failure that Cluster API or CAPV tells of in its own words. Pure.
//
// Only what a correction of the wish, of the vCenter account or of a pool can end is here: for the rest, waiting is the advice.
import type { SpaSpec } from "#proto";
import { controlPlanePlacement, parentOf, poolText } from "#proto/render/addresses.ts";
import type { Trouble } from "./milestones.ts";

interface Case {
  readonly says: RegExp;
  readonly todo: (spec: SpaSpec) => string;
}

const cases: readonly Case[] = [
  {
    says: /login failure|cannot complete login|incorrect user ?name or password|failed to login|InvalidLogin/i,
    todo: ({ cloud }) => `correct the password in Secret ${cloud.credentialRef.name}`,
  },
  {
    says: /thumbprint does not match|x509|certificate (signed|is not|has expired)/i,
    todo: ({ cloud }) =>
      `compare cloud.thumbprint with the certificate that ${cloud.server} shows now, and correct it`,
  },
  {
    says: /(get credentials|identityRef).*(not found|missing)|secret .* not found/i,
    todo: ({ cloud }) => `the credential is not there; look at Secret ${cloud.credentialRef.name}`,
  },
  {
    says: /unable to find template/i,
    todo: () => "import the template, or name another one in image.template",
  },
  { says: /unable to get datastore/i, todo: () => "correct the datastore of the placement" },
  {
    says: /unable to find network|network '.*' not found/i,
    todo: () => "correct the network of the placement",
  },
  { says: /unable to get resource pool/i, todo: () => "correct the resource pool of the placement" },
  { says: /unable to get folder/i, todo: () => "correct the folder of the placement" },
  {
    says: /does not have tag|failed to verify tag/i,
    todo: () =>
      "in vCenter attach a tag of category k8s-region to the datacenter and one of k8s-zone to the compute cluster, or name the tags in the failure domain",
  },
  {
    says: /ErrImagePull|ImagePullBackOff|InvalidImageName/,
    todo: () =>
      "look whether the machines reach that registry; a mirror and its login are named in jet.images",
  },
  {
    says: /insufficient (disk )?(space|resources|capacity)|no host is compatible|not enough space|InsufficientResources/i,
    todo: () => "free space there, or place the cluster elsewhere",
  },
  {
    says: /permission to perform this operation|NoPermission/i,
    todo: ({ cloud }) => `give the user of Secret ${cloud.credentialRef.name} the right for it in vCenter`,
  },
  {
    says: /pool ?exhausted|exhausted|no (free|available) address/i,
    todo: (spec) => {
      const pool = parentOf(controlPlanePlacement(spec));
      return pool ? `add addresses to the pool ${poolText(pool)}` : "add addresses to the pool";
    },
  },
];

/** The trouble with what to do about it; it then waits for a person. As it came, where nobody can do anything but wait. */
export function withAdvice(trouble: Trouble, spec: SpaSpec): Trouble {
  const found = cases.find(({ says }) => says.test(`${trouble.code}: ${trouble.message}`));
  return found ? { ...trouble, message: `${trouble.message}; ${found.todo(spec)}`, blocked: true } : trouble;
}

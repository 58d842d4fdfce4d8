// How a gateway gets and keeps its identity at the plane. The work is in tunnel/identity, which agents share.
export {
  keepRenewed,
  loadIdentity,
  pair,
  parsePairingCode,
  renew,
  saveIdentity,
  verifyDesired,
  type Identity,
  type PairOptions,
  type RenewOptions,
} from "#tunnel/identity/index.ts";

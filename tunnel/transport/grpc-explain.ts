// What gRPC says when it cannot connect, in an operator's words. Pure.

const meanings: readonly (readonly [RegExp, string])[] = [
  [/^Name resolution failed/, "its name cannot be resolved; check the address and this machine's DNS"],
  [/ECONNREFUSED/, "nothing listens there"],
  [/EHOSTUNREACH|ENETUNREACH/, "there is no route to it"],
  [
    /self-signed certificate|unable to (verify|get)/,
    "its certificate is not from the authority we were paired with; something may intercept the connection, or pair again",
  ],
  [
    /^Failed to connect|ECONNRESET|socket disconnected/,
    "it closed the connection during the handshake; it may not accept our certificate (expired, or from another authority)",
  ],
];

/** The reason in a status' details; the library's own words follow in brackets where ours replace them. */
export function explain(details: string): string {
  const words = details
    .replace(/^No connection established\. Last error: /, "")
    .replace(/\s*Resolution note:.*$/s, "")
    .replace(/^Error: /, "")
    .replace(/ \(\d{4}-\d\d-\d\dT[^)]*\)/, "")
    .replace(/\.$/, "")
    .trim();
  const meaning = meanings.find(([pattern]) => pattern.test(words))?.[1];
  return meaning ? `${meaning} (${words})` : words || "no reason given";
}

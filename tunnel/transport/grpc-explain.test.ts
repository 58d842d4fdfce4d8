import { expect, test } from "vitest";
import { explain } from "./grpc-explain.ts";

const said = (last: string) => `No connection established. Last error: ${last} Resolution note: `;

test.each([
  [
    "Name resolution failed for target dns:plane.example:443",
    /^its name cannot be resolved.*dns:plane.example:443\)$/,
  ],
  [
    said("Error: connect ECONNREFUSED 127.0.0.1:1."),
    /^nothing listens there \(connect ECONNREFUSED 127.0.0.1:1\)$/,
  ],
  [
    said("Failed to connect (2026-11-21T09:49:42.324Z)."),
    /may not accept our certificate .*\(Failed to connect\)$/,
  ],
  [
    said("Error: self-signed certificate in certificate chain."),
    /^its certificate is not from the authority/,
  ],
  [said("Error: certificate has expired."), /^certificate has expired$/],
  ["the client certificate names no gateway", /^the client certificate names no gateway$/],
  ["", /^no reason given$/],
])("%s", (details, words) => {
  expect(explain(details)).toMatch(words);
});

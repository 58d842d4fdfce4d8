import type { HttpRequest, Transport } from "./transport.ts";
import type { IncomingHttpHeaders } from "node:http";

export interface TextAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Sends a request and keeps the whole answer as text; for small answers that are not SOAP. */
export async function httpText(transport: Transport, request: HttpRequest): Promise<TextAnswer> {
  let text = "";
  const response = await transport.send(request, () => ({ write: (piece) => void (text += piece) }));
  return { ...response, text };
}

export function httpGet(transport: Transport, path: string, signal?: AbortSignal): Promise<TextAnswer> {
  return httpText(transport, { method: "GET", path, repeatable: true, timeoutMs: 30_000, signal });
}

// In which form an answer is wanted: content negotiation as Kubernetes does it, by parameters of the media type. Pure.
import { Refusal } from "./problem.ts";

export type Form =
  | { readonly kind: "json" }
  | { readonly kind: "yaml" }
  | { readonly kind: "table" }
  | { readonly kind: "partial" }
  | { readonly kind: "discovery" };

interface MediaType {
  readonly type: string;
  readonly params: Readonly<Record<string, string>>;
}

/** The first form in the header that this server has. Absent or empty: JSON. NotAcceptable (406) when there is none. */
export function formOf(accept: string | undefined): Form {
  if (accept === undefined || accept.trim() === "") return { kind: "json" };
  for (const media of accept.split(",").map(mediaType)) {
    const form = formFor(media);
    if (form) return form;
  }
  throw new Refusal(
    406,
    "NotAcceptable",
    "only the following media types are accepted: application/json, application/yaml",
  );
}

function formFor({ type, params }: MediaType): Form | undefined {
  if (type === "application/yaml") return params["as"] === undefined ? { kind: "yaml" } : undefined;
  if (type !== "application/json" && type !== "*/*" && type !== "application/*") return undefined;
  const meta = params["g"] === "meta.k8s.io" && params["v"] === "v1";
  switch (params["as"]) {
    case undefined:
      return { kind: "json" };
    case "Table":
      return meta ? { kind: "table" } : undefined;
    case "PartialObjectMetadata":
    case "PartialObjectMetadataList":
      return meta ? { kind: "partial" } : undefined;
    case "APIGroupDiscoveryList":
      return params["g"] === "apidiscovery.k8s.io" && params["v"] === "v2"
        ? { kind: "discovery" }
        : undefined;
    default:
      return undefined;
  }
}

/** A media type and its parameters, both in lower case but for the parameters' values. */
export function mediaType(text: string): MediaType {
  const [type = "", ...params] = text.split(";").map((part) => part.trim());
  const pairs = params.map((param) => {
    const at = param.indexOf("=");
    return at < 0 ? [param, ""] : [param.slice(0, at).toLowerCase(), param.slice(at + 1)];
  });
  return { type: type.toLowerCase(), params: Object.fromEntries(pairs) as Record<string, string> };
}

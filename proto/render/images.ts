// Where images come from when the site has a registry of its own.

/**
 * The image as a mirror has it: the mirror ("registry.example", "registry.example/cache") takes the place of the image's registry,
 * what follows stays. Without a mirror the image stays as it is.
 */
export function mirrored(image: string, mirror: string | undefined): string {
  if (!mirror) return image;
  const [first = "", ...rest] = image.split("/");
  const isRegistry = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  return [mirror.replace(/\/+$/, ""), ...(isRegistry ? rest : [image])].join("/");
}

/** The base of an image's name: "cluster-api-controller" of "registry.example/a/cluster-api-controller:v1.13.5". */
export function imageBaseName(image: string): string {
  const last = image.slice(image.lastIndexOf("/") + 1);
  return last.split(/[:@]/, 1)[0] ?? last;
}

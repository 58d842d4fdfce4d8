// What a figure has to keep to, said beside the figure: `npm run bench` fails where one does not.

export interface Limit {
  readonly most?: number;
  readonly least?: number;
  readonly is?: boolean | number;
}

/** One JSON object of a bench's output. `must` is for its reader: it is checked and not printed. */
export type Figure = Readonly<Record<string, unknown>> & { readonly must?: Readonly<Record<string, Limit>> };

/** The limits that a figure does not keep to, in words; what is no number has neither a most nor a least. Pure. */
export function missed({ must = {}, ...figure }: Figure): string[] {
  return Object.entries(must).flatMap(([name, { most, least, is }]) => {
    const value = figure[name];
    if (is !== undefined) return value === is ? [] : [`${name} is ${String(value)}, not ${is}`];
    if (typeof value !== "number" || Number.isNaN(value))
      return [`${name} is ${String(value)}, not a number`];
    if (most !== undefined && value > most) return [`${name} is ${value}, at most ${most}`];
    if (least !== undefined && value < least) return [`${name} is ${value}, at least ${least}`];
    return [];
  });
}

// How `pcg` speaks: tables for people, JSON and YAML for programs, colours only on a terminal that wants them.
import Table from "cli-table3";
import { styleText } from "node:util";
import { stringify } from "yaml";
import { Fault, type FaultCode } from "#core";

/** Where a command writes. The one place in the program that knows the terminal. */
export interface Output {
  /** True where a person watches: progress and colours make sense. */
  readonly interactive: boolean;
  line(text?: string): void;
  /** For progress and errors: standard error, so that pipes stay clean. */
  note(text: string): void;
  style(style: "green" | "red" | "yellow" | "dim" | "bold", text: string): string;
}

export function terminalOutput(streams: {
  out: NodeJS.WriteStream;
  err: NodeJS.WriteStream;
  noColour: boolean;
}): Output {
  const { out, err, noColour } = streams;
  const interactive = Boolean(out.isTTY);
  return {
    interactive,
    line: (text = "") => void out.write(`${text}\n`),
    note: (text) => void err.write(`${text}\n`),
    style: (style, text) => (interactive && !noColour ? styleText(style, text) : text),
  };
}

export type Format = "table" | "wide" | "json" | "yaml" | "name";
export const formats: readonly Format[] = ["table", "wide", "json", "yaml", "name"];

export function parseFormat(text: string): Format {
  if ((formats as readonly string[]).includes(text)) return text as Format;
  throw new Fault("Invalid", `-o ${text}: there is no such format; use one of ${formats.join(", ")}`);
}

/** Rows under a heading, aligned, without lines: easy to read and to cut. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const blank = Object.fromEntries(
    [
      "top",
      "top-mid",
      "top-left",
      "top-right",
      "bottom",
      "bottom-mid",
      "bottom-left",
      "bottom-right",
      "left",
      "left-mid",
    ]
      .concat(["mid", "mid-mid", "right", "right-mid", "middle"])
      .map((place) => [place, ""]),
  );
  const drawn = new Table({
    head: [...head],
    chars: blank,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 3 },
  });
  drawn.push(...rows.map((row) => [...row]));
  return drawn
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** Prints a value for a program, or calls `human` for a person. */
export function show(output: Output, format: Format, value: unknown, human: () => string): void {
  if (format === "json") output.line(JSON.stringify(value, undefined, 2));
  else if (format === "yaml") output.line(stringify(value).trimEnd());
  else output.line(human());
}

/** 0 done, 1 failed, 2 wrong usage or configuration, 3 not reachable (docs/reference/cli.md). */
export function exitCodeOf(code: FaultCode): 1 | 2 | 3 {
  switch (code) {
    case "Invalid":
      return 2;
    case "Unavailable":
    case "TimedOut":
      return 3;
    default:
      return 1;
  }
}

/** An error in the words of the user, all mistakes listed; the stack only with --debug. */
export function errorText(error: unknown, debug: boolean): string {
  const fault = Fault.from(error);
  const problems = fault.problems
    .filter(({ message }) => !fault.message.includes(message)) // some messages list them already
    .map(({ field, message }) => `  ${field}: ${message}`);
  const stack = debug ? [fault.stack ?? "", ...causes(fault)] : [];
  return [`pcg: ${fault.message}`, ...problems, ...stack].join("\n");
}

function causes(error: Error): string[] {
  return error.cause instanceof Error
    ? [`caused by: ${error.cause.stack ?? error.cause.message}`, ...causes(error.cause)]
    : [];
}

// What a message may be. Pure.
import { Fault } from "#core";
import type { MessageDraft } from "../link.ts";

/** 256 KiB of JSON text, in UTF-8. */
export const maxBodyBytes = 256 * 1024;
export const maxTopicBytes = 128;
export const maxKeyBytes = 512;

const topics = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

/** The body as text and its size; throws Invalid, saying what is wrong and what to do. */
export function checkDraft(draft: MessageDraft): { body: string; bytes: number } {
  if (!topics.test(draft.topic) || draft.topic.length > maxTopicBytes) {
    throw invalid(draft, `the topic must be dotted words of at most ${maxTopicBytes} characters`);
  }
  if (Buffer.byteLength(draft.key) > maxKeyBytes) {
    throw invalid(draft, `the key is longer than ${maxKeyBytes} bytes`);
  }
  const body = jsonOf(draft);
  const bytes = Buffer.byteLength(body);
  if (bytes > maxBodyBytes) {
    throw invalid(
      draft,
      `the body has ${bytes} bytes as JSON; at most ${maxBodyBytes} (256 KiB) fit into a message, send what is bigger as a stream`,
    );
  }
  return { body, bytes };
}

/** What is wrong with a message that came in: the limits bind the peer too. Undefined when nothing is. */
export function wrongWith(message: { topic: string; key: string; body: string }): string | undefined {
  if (!topics.test(message.topic) || message.topic.length > maxTopicBytes) return "a topic that is no topic";
  if (Buffer.byteLength(message.key) > maxKeyBytes) return `a key of more than ${maxKeyBytes} bytes`;
  if (Buffer.byteLength(message.body) > maxBodyBytes) return `a body of more than ${maxBodyBytes} bytes`;
  return undefined;
}

function jsonOf(draft: MessageDraft): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(draft.body) as string | undefined;
  } catch (error) {
    throw invalid(draft, `the body is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (text === undefined) throw invalid(draft, "the body is no JSON value");
  return text;
}

function invalid(draft: MessageDraft, why: string): Fault {
  return new Fault("Invalid", `publishing on topic "${draft.topic.slice(0, maxTopicBytes)}": ${why}`);
}

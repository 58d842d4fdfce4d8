// The same trouble said with other numbers is the same trouble.

/** A message without what changes from one time to the next: two events or errors with equal masks count as one. */
export function masked(message: string): string {
  return message
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, "<uuid>")
    .replace(/\b[0-9a-f]{16,}\b/gi, "<hex>")
    .replace(/\d+/g, "<n>");
}

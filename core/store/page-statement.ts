// The SQL of a page of rows. One statement, so that the page, its revision and what the log remembers belong to one moment.
import type { Value } from "../sqlite.ts";
import type { PageQuery } from "./rows.ts";

export interface Statement {
  readonly sql: string;
  readonly values: readonly Value[];
}

/** Its first row is the head (revision: the newest, oldest: the oldest event), the others are the page. Pure. */
export function pageStatement(query: PageQuery): Statement {
  const rows = query.at === undefined ? rowsNow(query) : rowsAt(query, query.at);
  return {
    sql: `SELECT '' AS resource, '' AS namespace, '' AS name, (SELECT max(revision) FROM events) AS revision,
                 (SELECT min(revision) FROM events) AS oldest, NULL AS object
          UNION ALL SELECT * FROM (${rows.sql})`,
    values: rows.values,
  };
}

function rowsNow(query: PageQuery, atMost?: number): Statement {
  const { sql, values } = filter(query);
  const unchanged = atMost === undefined ? "true" : "revision <= ?";
  return {
    sql: `SELECT resource, namespace, name, revision, NULL AS oldest, object FROM resources
          WHERE ${unchanged} ${sql} ORDER BY ${open(query).join(", ")} LIMIT ?`,
    values: [...(atMost === undefined ? [] : [atMost]), ...values, limitOf(query)],
  };
}

/** What has not changed since, and what has, as it was before the first change since. */
function rowsAt(query: PageQuery, at: number): Statement {
  const unchanged = rowsNow(query, at);
  const { sql, values } = filter(query);
  return {
    sql: `SELECT * FROM (${unchanged.sql})
          UNION ALL
          SELECT resource, namespace, name, before_revision, NULL, before
          FROM (SELECT resource, namespace, name, before_revision, before, min(revision)
                FROM events WHERE revision > ? ${sql} GROUP BY resource, namespace, name)
          WHERE before IS NOT NULL
          ORDER BY resource, namespace, name LIMIT ?`,
    values: [...unchanged.values, at, ...values, limitOf(query)],
  };
}

/** So written that the primary key serves it: equal in its first columns, greater in the rest. */
function filter(query: PageQuery): Statement {
  const where: string[] = [];
  const values: Value[] = [];
  for (const column of key) {
    const value = query[column];
    if (value === undefined) continue;
    where.push(`AND ${column} = ?`);
    values.push(value);
  }
  if (query.after) {
    const rest = open(query);
    where.push(`AND (${rest.join(", ")}) > (${rest.map(() => "?").join(", ")})`);
    values.push(...rest.map((column) => query.after?.[column] ?? ""));
  }
  return { sql: where.join(" "), values };
}

const key = ["resource", "namespace", "name"] as const;

/** The columns that are left to range over, once those at the front are equal. */
function open(query: PageQuery): readonly (typeof key)[number][] {
  if (query.resource === undefined) return key;
  return query.namespace === undefined ? ["namespace", "name"] : ["name"];
}

function limitOf(query: PageQuery): number {
  return query.limit ?? -1;
}

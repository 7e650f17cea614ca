"""What a database consists of, to compare one with another."""

import psycopg

_OBJECTS = """
WITH own AS (
    SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
relation AS (SELECT pg_class.*, nspname FROM pg_class JOIN own ON own.oid = relnamespace)
SELECT 'schema', nspname, '' FROM own
UNION ALL
SELECT concat('relation ', relkind), nspname || '.' || relname, concat(obj_description(oid, 'pg_class')) FROM relation
UNION ALL
SELECT 'column', nspname || '.' || relname || '.' || attname,
    concat_ws(' ', format_type(atttypid, atttypmod), attnotnull, attidentity, pg_get_expr(adbin, adrelid),
              col_description(relation.oid, attnum))
FROM relation
JOIN pg_attribute ON attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON adrelid = relation.oid AND adnum = attnum
WHERE relkind IN ('r', 'v')
UNION ALL
SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace IN (SELECT oid FROM own)
UNION ALL
SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid)
FROM pg_index JOIN relation ON relation.oid = indrelid
UNION ALL
SELECT 'trigger', tgrelid::regclass || '.' || tgname, concat(pg_get_triggerdef(oid), tgenabled)
FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'function', oid::regprocedure::text, concat(pg_get_functiondef(oid), obj_description(oid, 'pg_proc'))
FROM pg_proc WHERE pronamespace IN (SELECT oid FROM own)
UNION ALL
SELECT 'view', nspname || '.' || relname, pg_get_viewdef(oid) FROM relation WHERE relkind = 'v'
UNION ALL
SELECT 'type', typname,
    (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = pg_type.oid)
FROM pg_type WHERE typnamespace IN (SELECT oid FROM own)
"""


def objects(url: str) -> dict[tuple[str, str], str]:
    """Everything in the database: (kind, name) → definition."""
    with psycopg.connect(url) as connection:
        return {(kind, name): definition for kind, name, definition in connection.execute(_OBJECTS)}


def engine_objects(url: str) -> dict[tuple[str, str], str]:
    """What of it belongs to workrow and procrastinate."""
    return {key: value for key, value in objects(url).items() if "workrow" in key[1] or "procrastinate" in key[1]}

-- The definition of each of our objects as the catalogue has it. Comments count as they were made: they change nothing.
SELECT concat('functions/', proname) AS name, md5(pg_get_functiondef(oid)) AS hash
FROM pg_catalog.pg_proc
WHERE
    (pronamespace = CAST('workrow' AS regnamespace) OR proname ^@ 'procrastinate_' AND pg_catalog.pg_function_is_visible(oid))
    AND prokind = 'f'
UNION ALL
SELECT concat('views/', relname), md5(pg_get_viewdef(oid))
FROM pg_catalog.pg_class
WHERE relnamespace = CAST('workrow' AS regnamespace) AND relkind = 'v'
UNION ALL
SELECT concat('triggers/', tgname), md5(concat(pg_get_triggerdef(oid), tgenabled))
FROM pg_catalog.pg_trigger
WHERE
    NOT tgisinternal
    AND tgparentid = 0
    AND tgname ^@ 'workrow_'
    AND (
        pg_catalog.pg_table_is_visible(tgrelid)
        OR EXISTS (
            SELECT FROM pg_catalog.pg_class
            WHERE pg_class.oid = tgrelid AND relnamespace = CAST('workrow' AS regnamespace)
        )
    )
UNION ALL
SELECT name, text_hash FROM workrow.installed_objects WHERE name ^@ 'comments/'

-- The definition of each of our objects as the catalogue has it, however the search_path makes it name our tables. What the
-- server keeps parsed it writes anew, each major version in its own way: there, the version goes before the hash.
-- Comments and rights count as they were made.
SELECT
    name,
    concat(
        CASE WHEN bool_or(parsed) THEN concat(CAST(current_setting('server_version_num') AS integer) / 10000, '-') END,
        md5(string_agg(
            regexp_replace(definition, '("[^"]+"|\w+)\.(?=procrastinate_)|workrow\.', '', 'g'), ' ' ORDER BY definition
        ))
    ) AS hash
FROM (
    SELECT concat('functions/', proname) AS name, pg_get_functiondef(oid) AS definition, prosqlbody IS NOT NULL AS parsed
    FROM pg_catalog.pg_proc
    WHERE
        (pronamespace = CAST('workrow' AS regnamespace) OR proname ^@ 'procrastinate_' AND pg_catalog.pg_function_is_visible(oid))
        AND prokind = 'f'
    UNION ALL
    SELECT concat('views/', relname), concat(pg_get_viewdef(oid), reloptions), true
    FROM pg_catalog.pg_class
    WHERE relnamespace = CAST('workrow' AS regnamespace) AND relkind = 'v'
    UNION ALL
    SELECT concat('triggers/', tgname), concat(pg_get_triggerdef(oid), tgenabled), false
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
) AS ours
GROUP BY name
UNION ALL
SELECT name, text_hash FROM workrow.installed_objects WHERE name ^@ 'comments/' OR name ^@ 'rights/'

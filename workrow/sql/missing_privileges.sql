-- What this role lacks to run workers. A function that it may not call does not keep it from that. Objects are written as in
-- SQL, a name of a schema by itself is taken as it is: hence the cast.
SELECT
    current_user AS role,
    needed.object,
    string_agg(needed.privilege, ', ') AS privileges
FROM workrow.privileges_v1('worker') AS needed
WHERE
    CASE needed.object_type
        WHEN 'SCHEMA' THEN NOT has_schema_privilege(CAST(needed.object AS regnamespace), needed.privilege)
        WHEN 'SEQUENCE' THEN NOT has_sequence_privilege(needed.object, needed.privilege)
        WHEN 'TABLE' THEN NOT has_table_privilege(needed.object, needed.privilege)
        ELSE false
    END
GROUP BY needed.object
ORDER BY needed.object

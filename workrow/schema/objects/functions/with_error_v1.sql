-- The errors of a job with one more. Of many, the first ten and the last ten are kept; the first after the gap says in
-- "left_out" how many are not.
CREATE OR REPLACE FUNCTION workrow.with_error_v1(errors jsonb, entry jsonb) RETURNS jsonb
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN entry IS NULL THEN errors
        -- also where somebody wrote by hand what is no list of errors
        WHEN jsonb_typeof(errors) IS DISTINCT FROM 'array' OR errors @? 'strict $[*] ? (@.type() != "object")'
            THEN jsonb_build_array(entry)
        WHEN jsonb_array_length(errors) < 20 THEN errors || entry
        ELSE
            jsonb_path_query_array(errors, '$[0 to 9]')
            || jsonb_set(
                jsonb_path_query_array(errors, '$[last - 8 to last]'),
                '{0,left_out}',
                to_jsonb(
                    coalesce(CAST(jsonb_path_query_first(
                        errors, '$[10 to last].left_out ? (@.type() == "number" && @ >= 0 && @ < 1000000000)'
                    ) AS integer), 0)
                    + jsonb_array_length(errors) - 19
                )
            )
            || entry
    END
$$

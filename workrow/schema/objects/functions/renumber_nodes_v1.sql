-- Nodes under other numbers: the n-th gets the n-th of these.
CREATE OR REPLACE FUNCTION workrow.renumber_nodes_v1(nodes jsonb, numbers integer[]) RETURNS jsonb
LANGUAGE sql
IMMUTABLE
AS $$
    SELECT
        jsonb_agg(
            node || jsonb_build_object('number', numbers[1 + CAST(node ->> 'number' AS integer)])
            || jsonb_strip_nulls(jsonb_build_object(
                'dependents', (
                    SELECT jsonb_agg(numbers[1 + CAST(old AS integer)]) FROM jsonb_array_elements_text(node -> 'dependents') AS old
                ),
                'callbacks', (
                    SELECT jsonb_agg(numbers[1 + CAST(old AS integer)]) FROM jsonb_array_elements_text(node -> 'callbacks') AS old
                ),
                'parents', (
                    SELECT jsonb_agg(numbers[1 + CAST(old.number AS integer)] ORDER BY old.place)
                    FROM jsonb_array_elements_text(node -> 'parents') WITH ORDINALITY AS old (number, place)
                ),
                'takes', (
                    SELECT jsonb_object_agg(old.key, numbers[1 + CAST(old.value AS integer)])
                    FROM jsonb_each_text(node -> 'takes') AS old
                )
            ))
        )
    FROM jsonb_array_elements(nodes) AS node
$$

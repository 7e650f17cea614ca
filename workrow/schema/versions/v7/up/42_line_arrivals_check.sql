-- A line that cannot be read would stop the claims of every job under a limit; who writes one by hand is refused.
ALTER TABLE workrow.line_arrivals ADD CONSTRAINT line_arrivals_line_check CHECK (
    jsonb_typeof(CAST(line AS jsonb) -> 0) IS NOT DISTINCT FROM 'string'
    AND jsonb_typeof(CAST(line AS jsonb) -> 1) IS NOT DISTINCT FROM 'string'
)

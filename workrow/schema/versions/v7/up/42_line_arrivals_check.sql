-- A line that cannot be read would stop the claims of every job under a limit; who writes one by hand is refused.
ALTER TABLE workrow.line_arrivals ADD CONSTRAINT line_arrivals_line_check CHECK (
    jsonb_array_length(CAST(line AS jsonb)) > 2
    AND NOT CAST(line AS jsonb) @? 'strict $[*] ? (@.type() != "string")'
)

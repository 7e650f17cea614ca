-- A text that is a line: a JSON array of three strings or more (queue, task, limits) that fits the index. It never raises,
-- whatever the text is, and takes up to 10 us. In $-quotes a backslash means itself, whatever a role's settings are.
(
    octet_length(job.line) <= 2600
    AND job.line ~ $json$^\["([^"\\\x01-\x1f]|\\["\\/bfnrt]|\\u00(0[1-9a-fA-F]|[1-7][0-9a-fA-F]))*"(, *"([^"\\\x01-\x1f]|\\["\\/bfnrt]|\\u00(0[1-9a-fA-F]|[1-7][0-9a-fA-F]))*"){2,}\]\Z$json$
)

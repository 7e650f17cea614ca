-- JSON that is a line: an array of three strings or more. It raises where there is no array.
(
    jsonb_array_length(job.line) > 2
    AND NOT job.line @? 'strict $[*] ? (@.type() != "string")'
)

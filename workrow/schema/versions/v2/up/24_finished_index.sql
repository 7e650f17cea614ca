-- Nearly always empty: what stock code has finished and the sweep has not moved yet.
CREATE INDEX procrastinate_jobs_finished_idx_w2 ON procrastinate_jobs (id)
WHERE status NOT IN ('todo', 'doing')

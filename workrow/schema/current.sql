-- The schema of workrow as it is now, version 8. `make schema` writes it: edit objects/ and versions/ instead.
-- It is there to be read, not to be run. What procrastinate's own schema brings is not in it, unless we changed it; the
-- partitions of history that are named after days are not in it either.

-- not there any more: constraint procrastinate_events_job_id_fkey
-- not there any more: constraint procrastinate_jobs_worker_id_fkey
-- not there any more: constraint procrastinate_periodic_defers_job_id_fkey
-- not there any more: index procrastinate_jobs_id_lock_idx_v1
-- not there any more: index procrastinate_jobs_priority_idx_v1
-- not there any more: index procrastinate_jobs_queue_name_idx_v1
-- not there any more: trigger procrastinate_jobs_notify_queue_job_aborted_v1
-- not there any more: trigger procrastinate_jobs_notify_queue_job_inserted_v1
-- not there any more: trigger procrastinate_trigger_abort_requested_events_v1
-- not there any more: trigger procrastinate_trigger_delete_jobs_v1
-- not there any more: trigger procrastinate_trigger_scheduled_events_v1
-- not there any more: trigger procrastinate_trigger_status_events_insert_v1
-- not there any more: trigger procrastinate_trigger_status_events_update_v1

CREATE SEQUENCE workrow.batch_numbers;

CREATE SEQUENCE workrow.flow_numbers;

CREATE SEQUENCE workrow.line_turns;

CREATE TYPE workrow.limit_room AS (
    bucket text,
    room double precision,
    weight double precision,
    again_at timestamp with time zone,
    counted boolean,
    tokens double precision,
    asked_at timestamp with time zone,
    cell bigint
);

CREATE TABLE workrow.history (
    id bigint NOT NULL,
    queue_name character varying(128) NOT NULL,
    task_name character varying(128) NOT NULL,
    priority integer NOT NULL,
    lock text,
    queueing_lock text,
    args jsonb NOT NULL,
    status procrastinate_job_status NOT NULL,
    scheduled_at timestamp with time zone,
    attempts integer NOT NULL,
    worker_id bigint,
    worker text,
    created_at timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone NOT NULL,
    result jsonb,
    errors jsonb,
    claims integer NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    quarantine text,
    version smallint,
    unique_key text COLLATE "C",
    expires_at timestamp with time zone,
    progress jsonb,
    line text COLLATE "C",
    workflow_id bigint,
    workflow_node integer
) PARTITION BY RANGE (finished_at);

CREATE TABLE workrow.celery_beat (
    app text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    task text NOT NULL,
    schedule text NOT NULL,
    timezone text,
    version text NOT NULL,
    last_run_at timestamp with time zone NOT NULL,
    total_run_count bigint NOT NULL DEFAULT 0,
    next_run_at timestamp with time zone,
    last_error text,
    declared_at timestamp with time zone NOT NULL,
    CONSTRAINT celery_beat_pkey PRIMARY KEY (app, name)
);

CREATE TABLE workrow.celery_bridge_dials (
    task text COLLATE "C" NOT NULL,
    percent double precision,
    sticky_by text,
    shadow double precision,
    changed_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT celery_bridge_dials_percent_check CHECK (((percent >= (0)::double precision) AND (percent <= (100)::double precision))),
    CONSTRAINT celery_bridge_dials_pkey PRIMARY KEY (task),
    CONSTRAINT celery_bridge_dials_shadow_check CHECK (((shadow >= (0)::double precision) AND (shadow <= (100)::double precision)))
);

CREATE TABLE workrow.celery_bridge_moves (
    key text COLLATE "C" NOT NULL,
    task text NOT NULL,
    came text NOT NULL,
    moved_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT celery_bridge_moves_pkey PRIMARY KEY (key)
);

CREATE TABLE workrow.celery_bridge_shadows (
    task_id text COLLATE "C" NOT NULL,
    task text NOT NULL,
    verdict text NOT NULL,
    why text,
    their_seconds double precision,
    our_seconds double precision,
    noted_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT celery_bridge_shadows_pkey PRIMARY KEY (task_id)
);

CREATE TABLE workrow.celery_bridge_switch (
    one boolean NOT NULL DEFAULT true,
    is_on boolean NOT NULL,
    changed_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT celery_bridge_switch_one_check CHECK (one),
    CONSTRAINT celery_bridge_switch_pkey PRIMARY KEY (one)
);

CREATE TABLE workrow.celery_chords (
    group_id text COLLATE "C" NOT NULL,
    size integer,
    ended integer NOT NULL DEFAULT 0,
    fired boolean NOT NULL DEFAULT false,
    body jsonb,
    last_part jsonb,
    queue_name text,
    noted_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT celery_chords_pkey PRIMARY KEY (group_id)
);

CREATE TABLE workrow.celery_commands (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    method text NOT NULL,
    arguments jsonb NOT NULL,
    destination text[],
    pattern text,
    matcher text,
    sent_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT celery_commands_pkey PRIMARY KEY (id)
);

CREATE TABLE workrow.celery_entries (
    app text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    task text NOT NULL,
    schedule jsonb NOT NULL,
    args jsonb NOT NULL DEFAULT '[]'::jsonb,
    kwargs jsonb NOT NULL DEFAULT '{}'::jsonb,
    options jsonb NOT NULL DEFAULT '{}'::jsonb,
    enabled boolean NOT NULL DEFAULT true,
    one_off boolean NOT NULL DEFAULT false,
    starts_at timestamp with time zone,
    ends_at timestamp with time zone,
    last_run_at timestamp with time zone,
    source text,
    version text,
    CONSTRAINT celery_entries_pkey PRIMARY KEY (app, name)
);

CREATE TABLE workrow.celery_groups (
    group_id text COLLATE "C" NOT NULL,
    members jsonb NOT NULL,
    expires_at timestamp with time zone,
    CONSTRAINT celery_groups_pkey PRIMARY KEY (group_id)
);

CREATE TABLE workrow.celery_parts (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    group_id text COLLATE "C" NOT NULL,
    "position" integer,
    task_id text NOT NULL,
    state text NOT NULL,
    value jsonb,
    CONSTRAINT celery_parts_pkey PRIMARY KEY (id)
);

CREATE TABLE workrow.celery_replies (
    command_id bigint NOT NULL,
    worker_id bigint NOT NULL,
    worker text NOT NULL,
    reply jsonb,
    CONSTRAINT celery_replies_pkey PRIMARY KEY (command_id, worker_id)
);

CREATE TABLE workrow.celery_results (
    task_id text COLLATE "C" NOT NULL,
    state text NOT NULL,
    value jsonb,
    traceback text,
    children jsonb,
    details jsonb,
    noted_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamp with time zone,
    CONSTRAINT celery_results_pkey PRIMARY KEY (task_id)
);

CREATE TABLE workrow.celery_revoked (
    task_id text COLLATE "C",
    header text,
    value jsonb,
    revoked_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE workrow.celery_untold (
    job_id bigint NOT NULL,
    task_name text NOT NULL,
    queue_name text NOT NULL,
    args jsonb NOT NULL,
    revoked_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT celery_untold_pkey PRIMARY KEY (job_id)
);

CREATE TABLE workrow.failure_hooks (
    task_name text NOT NULL,
    hook_name text NOT NULL,
    argument text NOT NULL,
    queue_name text NOT NULL,
    priority integer NOT NULL,
    lock text,
    line text,
    scheduled_at timestamp with time zone,
    version smallint,
    CONSTRAINT failure_hooks_pkey PRIMARY KEY (task_name)
);

CREATE TABLE workrow.flow_nodes (
    flow_id bigint NOT NULL,
    number integer NOT NULL,
    name text,
    kind text NOT NULL,
    state text NOT NULL,
    pending integer NOT NULL,
    dependents integer[],
    parents integer[],
    takes jsonb,
    kept boolean NOT NULL,
    fires text,
    callbacks integer[],
    on_failure text,
    spec jsonb,
    args jsonb,
    line text COLLATE "C",
    job_id bigint,
    appended_to integer,
    replaced_by integer,
    result jsonb,
    error jsonb,
    ended_at timestamp with time zone,
    CONSTRAINT flow_nodes_pkey PRIMARY KEY (flow_id, number)
);

CREATE TABLE workrow.flows (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    state text NOT NULL DEFAULT 'running'::text,
    paused boolean NOT NULL DEFAULT false,
    on_failure text NOT NULL,
    root integer NOT NULL,
    size integer NOT NULL,
    callbacks integer[],
    failed_node integer,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    ended_at timestamp with time zone,
    CONSTRAINT flows_pkey PRIMARY KEY (id)
);

CREATE TABLE workrow.granted_roles (
    role_name text NOT NULL,
    kind text NOT NULL,
    CONSTRAINT granted_roles_pkey PRIMARY KEY (role_name, kind)
);

CREATE TABLE workrow.held_rows (
    worker_id bigint NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    pid integer,
    since timestamp with time zone NOT NULL,
    said_at timestamp with time zone NOT NULL,
    CONSTRAINT held_rows_pkey PRIMARY KEY (worker_id, kind, name)
);

CREATE TABLE workrow.hidden_arguments (
    task_name text NOT NULL,
    name text NOT NULL,
    noted_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT hidden_arguments_name_check CHECK (((name = '*'::text) OR (name !~ '[][(){}^$.|?*+\\]'::text)))
);

CREATE TABLE workrow.installed_objects (
    name text NOT NULL,
    text_hash text NOT NULL,
    found_hash text NOT NULL,
    CONSTRAINT installed_objects_pkey PRIMARY KEY (name)
);

CREATE TABLE workrow.job_signals (
    id bigint NOT NULL GENERATED BY DEFAULT AS IDENTITY,
    job_id bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    value jsonb,
    sent_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    taken_by text COLLATE "C",
    CONSTRAINT job_signals_pkey PRIMARY KEY (id)
);

CREATE TABLE workrow.job_steps (
    job_id bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    token integer NOT NULL,
    noted_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    due_at timestamp with time zone,
    signal text COLLATE "C",
    child_id bigint,
    ended_at timestamp with time zone,
    result jsonb,
    error jsonb,
    failed_before text[],
    unwoken boolean NOT NULL DEFAULT false,
    CONSTRAINT job_steps_kind_check CHECK ((kind = ANY (ARRAY['step'::text, 'sleep'::text, 'wait'::text, 'call'::text]))),
    CONSTRAINT job_steps_pkey PRIMARY KEY (job_id, name)
);

CREATE TABLE workrow.limit_buckets (
    bucket text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    tokens double precision,
    refilled_at timestamp with time zone,
    cells bigint[] NOT NULL DEFAULT '{}'::bigint[],
    counts integer[] NOT NULL DEFAULT '{}'::integer[],
    CONSTRAINT limit_buckets_pkey PRIMARY KEY (bucket)
);

CREATE TABLE workrow.limit_calls (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    name text COLLATE "C" NOT NULL,
    CONSTRAINT limit_calls_pkey PRIMARY KEY (id)
);

CREATE TABLE workrow.limit_holds (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    bucket text COLLATE "C" NOT NULL,
    held_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    until timestamp with time zone NOT NULL,
    CONSTRAINT limit_holds_pkey PRIMARY KEY (id)
);

CREATE TABLE workrow.limit_rules (
    name text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL DEFAULT ''::text,
    source text NOT NULL,
    max_running integer,
    rate_count integer,
    rate_seconds double precision,
    rate_burst integer,
    weight double precision,
    paused boolean,
    actor text,
    reason text,
    changed_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT limit_rules_max_running_check CHECK ((max_running >= 0)),
    CONSTRAINT limit_rules_pkey PRIMARY KEY (name, key, source),
    CONSTRAINT limit_rules_rate_burst_check CHECK ((rate_burst > 0)),
    CONSTRAINT limit_rules_rate_count_check CHECK ((rate_count > 0)),
    CONSTRAINT limit_rules_rate_seconds_check CHECK ((rate_seconds > (0)::double precision)),
    CONSTRAINT limit_rules_source_check CHECK ((source = ANY (ARRAY['declared'::text, 'set'::text]))),
    CONSTRAINT limit_rules_weight_check CHECK ((weight > (0)::double precision))
);

CREATE TABLE workrow.limit_slots (
    bucket text COLLATE "C" NOT NULL,
    job_id bigint NOT NULL,
    token integer NOT NULL,
    CONSTRAINT limit_slots_pkey PRIMARY KEY (bucket, job_id, token)
);

CREATE TABLE workrow.line_arrivals (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    line text COLLATE "C" NOT NULL,
    priority integer NOT NULL,
    CONSTRAINT line_arrivals_line_check CHECK (((jsonb_array_length((line)::jsonb) > 2) AND (NOT ((line)::jsonb @? 'strict $[*]?(@.type() != "string")'::jsonpath)))),
    CONSTRAINT line_arrivals_pkey PRIMARY KEY (id)
);

CREATE TABLE workrow.lines (
    line text COLLATE "C" NOT NULL,
    queue_name text NOT NULL,
    task_name text NOT NULL,
    buckets text[] COLLATE "C" NOT NULL,
    priority integer NOT NULL,
    turn double precision NOT NULL,
    blocked_on text COLLATE "C",
    wake_at timestamp with time zone,
    CONSTRAINT lines_pkey PRIMARY KEY (line)
);

CREATE TABLE workrow.pause_log (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    name text NOT NULL,
    actor text,
    reason text,
    paused_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    resumed_at timestamp with time zone,
    resumed_by text,
    resume_reason text,
    CONSTRAINT pause_log_kind_check CHECK ((kind = ANY (ARRAY['queue'::text, 'task'::text]))),
    CONSTRAINT pause_log_pkey PRIMARY KEY (id)
);

CREATE TABLE workrow.queue_caps (
    queue_name text NOT NULL,
    declared_depth integer,
    max_depth integer,
    actor text,
    reason text,
    set_at timestamp with time zone,
    CONSTRAINT queue_caps_declared_depth_check CHECK ((declared_depth > 0)),
    CONSTRAINT queue_caps_max_depth_check CHECK ((max_depth > 0)),
    CONSTRAINT queue_caps_pkey PRIMARY KEY (queue_name)
);

CREATE TABLE workrow.queue_names (
    name text NOT NULL,
    CONSTRAINT queue_names_pkey PRIMARY KEY (name)
);

CREATE TABLE workrow.schema_version (
    version integer NOT NULL,
    installed_at timestamp with time zone NOT NULL DEFAULT now(),
    upstream text NOT NULL,
    adopted boolean NOT NULL,
    CONSTRAINT schema_version_pkey PRIMARY KEY (version)
);

CREATE TABLE workrow.sleepers (
    worker_id bigint NOT NULL,
    queues text[],
    CONSTRAINT sleepers_pkey PRIMARY KEY (worker_id)
);

CREATE TABLE workrow.throttles (
    key text NOT NULL,
    taken timestamp with time zone[] NOT NULL,
    job_id bigint,
    over_at timestamp with time zone NOT NULL,
    CONSTRAINT throttles_pkey PRIMARY KEY (key)
);

CREATE TABLE workrow.timetable (
    name text NOT NULL,
    last_tick timestamp with time zone NOT NULL,
    dynamic boolean NOT NULL DEFAULT false,
    task text,
    cron text,
    every interval,
    timezone text,
    args jsonb NOT NULL DEFAULT '{}'::jsonb,
    version smallint,
    queue text,
    priority integer,
    missed text,
    catch_up integer,
    max_late interval,
    overlap text,
    jitter interval,
    next_due timestamp with time zone,
    last_due timestamp with time zone,
    last_job_id bigint,
    skipped bigint NOT NULL DEFAULT 0,
    last_skipped timestamp with time zone,
    skip_reason text,
    paused_at timestamp with time zone,
    paused_by text,
    pause_reason text,
    created_at timestamp with time zone,
    declared_at timestamp with time zone,
    CONSTRAINT schedules_pkey PRIMARY KEY (name)
);

CREATE TABLE workrow.waiters (
    listener uuid NOT NULL,
    until timestamp with time zone NOT NULL,
    CONSTRAINT waiters_pkey PRIMARY KEY (listener)
);

CREATE TABLE workrow.worker_details (
    worker_id bigint NOT NULL,
    name text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    queues text[],
    concurrency integer NOT NULL,
    version text NOT NULL,
    started_at timestamp with time zone NOT NULL DEFAULT now(),
    lease interval,
    tasks text[],
    refused bigint NOT NULL DEFAULT 0,
    death text,
    stopping_at timestamp with time zone,
    CONSTRAINT worker_details_pkey PRIMARY KEY (worker_id),
    CONSTRAINT worker_details_worker_id_fkey FOREIGN KEY (worker_id) REFERENCES procrastinate_workers(id) ON DELETE CASCADE
);

CREATE TABLE workrow.history_default PARTITION OF workrow.history DEFAULT;

CREATE TABLE workrow.history_past PARTITION OF workrow.history FOR VALUES FROM (MINVALUE) TO ('the day of the upgrade');

ALTER TABLE procrastinate_jobs ADD COLUMN created_at timestamp with time zone DEFAULT now();

ALTER TABLE procrastinate_jobs ADD COLUMN started_at timestamp with time zone;

ALTER TABLE procrastinate_jobs ADD COLUMN finished_at timestamp with time zone;

ALTER TABLE procrastinate_jobs ADD COLUMN worker text;

ALTER TABLE procrastinate_jobs ADD COLUMN result jsonb;

ALTER TABLE procrastinate_jobs ADD COLUMN errors jsonb;

ALTER TABLE procrastinate_jobs ADD COLUMN staged_at timestamp with time zone;

ALTER TABLE procrastinate_jobs ADD COLUMN claims integer NOT NULL DEFAULT 0;

ALTER TABLE procrastinate_jobs ADD COLUMN crashes integer NOT NULL DEFAULT 0;

ALTER TABLE procrastinate_jobs ADD COLUMN marked integer;

ALTER TABLE procrastinate_jobs ADD COLUMN terminate_requested boolean NOT NULL DEFAULT false;

ALTER TABLE procrastinate_jobs ADD COLUMN version smallint;

ALTER TABLE procrastinate_jobs ADD COLUMN unique_key text COLLATE "C";

ALTER TABLE procrastinate_jobs ADD COLUMN expires_at timestamp with time zone;

ALTER TABLE procrastinate_jobs ADD COLUMN progress jsonb;

ALTER TABLE procrastinate_jobs ADD COLUMN line text COLLATE "C";

ALTER TABLE procrastinate_jobs ADD COLUMN due_at timestamp with time zone;

ALTER TABLE procrastinate_jobs ADD COLUMN workflow_id bigint;

ALTER TABLE procrastinate_jobs ADD COLUMN workflow_node integer;

ALTER TABLE procrastinate_jobs ADD COLUMN held_at timestamp with time zone;

ALTER TABLE procrastinate_jobs SET (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000, autovacuum_vacuum_insert_scale_factor=0, autovacuum_vacuum_insert_threshold=50000, autovacuum_analyze_scale_factor=0, autovacuum_analyze_threshold=20000, autovacuum_vacuum_cost_delay=0);

CREATE INDEX history_failures_idx ON ONLY workrow.history USING btree (finished_at) WHERE (status <> 'succeeded'::procrastinate_job_status);

CREATE INDEX history_finished_at_idx ON ONLY workrow.history USING brin (finished_at);

CREATE INDEX history_id_idx ON ONLY workrow.history USING btree (id);

CREATE INDEX history_quarantine_idx ON ONLY workrow.history USING btree (finished_at) WHERE (quarantine IS NOT NULL);

CREATE INDEX history_unique_key_idx ON ONLY workrow.history USING btree (unique_key, created_at) WHERE (unique_key IS NOT NULL);

CREATE INDEX celery_bridge_moves_moved_idx ON workrow.celery_bridge_moves USING btree (moved_at);

CREATE INDEX celery_bridge_shadows_noted_idx ON workrow.celery_bridge_shadows USING btree (noted_at);

CREATE INDEX celery_parts_group_idx ON workrow.celery_parts USING btree (group_id);

CREATE INDEX celery_results_expires_idx ON workrow.celery_results USING btree (expires_at);

CREATE INDEX celery_revoked_task_idx ON workrow.celery_revoked USING btree (task_id);

CREATE INDEX flows_open_idx ON workrow.flows USING btree (state) WHERE (state = ANY (ARRAY['stopping'::text, 'cancelling'::text, 'compensating'::text]));

CREATE INDEX hidden_arguments_task_name_idx ON workrow.hidden_arguments USING btree (task_name);

CREATE INDEX job_signals_job_idx ON workrow.job_signals USING btree (job_id, name, id);

CREATE INDEX job_signals_sent_idx ON workrow.job_signals USING btree (sent_at);

CREATE INDEX job_steps_child_idx ON workrow.job_steps USING btree (child_id) WHERE ((child_id IS NOT NULL) AND (ended_at IS NULL));

CREATE INDEX job_steps_noted_idx ON workrow.job_steps USING btree (noted_at);

CREATE INDEX job_steps_unwoken_idx ON workrow.job_steps USING btree (job_id) WHERE unwoken;

CREATE INDEX limit_holds_idx ON workrow.limit_holds USING btree (bucket, until);

CREATE INDEX lines_blocked_idx ON workrow.lines USING btree (blocked_on, priority DESC, turn) WHERE (blocked_on IS NOT NULL);

CREATE INDEX lines_ready_idx ON workrow.lines USING btree (priority DESC, turn) WHERE ((blocked_on IS NULL) AND (wake_at IS NULL));

CREATE INDEX lines_wake_idx ON workrow.lines USING btree (wake_at) WHERE (wake_at IS NOT NULL);

CREATE UNIQUE INDEX pause_log_active_idx ON workrow.pause_log USING btree (kind, name) WHERE (resumed_at IS NULL);

CREATE INDEX throttles_over_at_idx ON workrow.throttles USING btree (over_at);

CREATE INDEX timetable_next_due_idx ON workrow.timetable USING btree (next_due) WHERE (paused_at IS NULL);

CREATE INDEX procrastinate_jobs_celery_idx_w8 ON procrastinate_jobs USING hash (((args ->> 'id'::text))) WHERE ((status = 'todo'::procrastinate_job_status) AND jsonb_exists(args, 'root_id'::text));

CREATE INDEX procrastinate_jobs_expires_idx_w4 ON procrastinate_jobs USING btree (expires_at) WHERE ((status = 'todo'::procrastinate_job_status) AND (expires_at IS NOT NULL));

CREATE INDEX procrastinate_jobs_finished_idx_w2 ON procrastinate_jobs USING btree (id) WHERE (status <> ALL (ARRAY['todo'::procrastinate_job_status, 'doing'::procrastinate_job_status]));

CREATE INDEX procrastinate_jobs_keyed_idx_w4 ON procrastinate_jobs USING btree (queue_name) WHERE ((status = 'todo'::procrastinate_job_status) AND ((lock IS NOT NULL) OR (line IS NOT NULL)));

CREATE INDEX procrastinate_jobs_line_due_idx_w4 ON procrastinate_jobs USING btree (due_at) WHERE ((status = 'todo'::procrastinate_job_status) AND (line IS NOT NULL) AND (due_at IS NOT NULL));

CREATE INDEX procrastinate_jobs_line_idx_w6 ON procrastinate_jobs USING btree (line, priority DESC, COALESCE(staged_at, created_at), id) WHERE ((status = 'todo'::procrastinate_job_status) AND (line IS NOT NULL) AND (due_at IS NULL));

CREATE UNIQUE INDEX procrastinate_jobs_lock_idx_v1 ON procrastinate_jobs USING btree (lock) WHERE ((status = 'doing'::procrastinate_job_status) AND (lock IS NOT NULL));

CREATE INDEX procrastinate_jobs_locked_idx_w2 ON procrastinate_jobs USING btree (lock, priority DESC, id) WHERE ((status = 'todo'::procrastinate_job_status) AND (lock IS NOT NULL) AND ((scheduled_at IS NULL) OR (staged_at = scheduled_at)));

CREATE INDEX procrastinate_jobs_ownerless_idx_w3 ON procrastinate_jobs USING btree (started_at) WHERE ((status = 'doing'::procrastinate_job_status) AND (worker_id IS NULL));

CREATE UNIQUE INDEX procrastinate_jobs_queueing_lock_idx_v1 ON procrastinate_jobs USING btree (queueing_lock) WHERE ((status = 'todo'::procrastinate_job_status) AND (queueing_lock IS NOT NULL));

CREATE INDEX procrastinate_jobs_ready_idx_w2 ON procrastinate_jobs USING btree (queue_name, priority DESC, ((id + 0))) WHERE ((status = 'todo'::procrastinate_job_status) AND (lock IS NULL) AND ((scheduled_at IS NULL) OR (staged_at = scheduled_at)));

CREATE INDEX procrastinate_jobs_scheduled_idx_w2 ON procrastinate_jobs USING btree (scheduled_at) WHERE ((status = 'todo'::procrastinate_job_status) AND (scheduled_at IS NOT NULL) AND (staged_at IS DISTINCT FROM scheduled_at));

CREATE INDEX procrastinate_jobs_staged_idx_w5 ON procrastinate_jobs USING btree (queue_name, priority DESC, scheduled_at, id) WHERE ((status = 'todo'::procrastinate_job_status) AND (lock IS NULL) AND (scheduled_at IS NOT NULL) AND (staged_at = scheduled_at));

CREATE UNIQUE INDEX procrastinate_jobs_unique_key_idx_w4 ON procrastinate_jobs USING btree (unique_key) WHERE ((unique_key IS NOT NULL) AND (status = ANY (ARRAY['todo'::procrastinate_job_status, 'doing'::procrastinate_job_status])));

CREATE INDEX workrow_jobs_finished_at_idx ON procrastinate_jobs USING btree (finished_at) WHERE (finished_at IS NOT NULL);

CREATE OR REPLACE FUNCTION procrastinate_cancel_job_v1(job_id bigint, abort boolean, delete_job boolean)
 RETURNS bigint
 LANGUAGE plpgsql
AS $function$
DECLARE
    _job_id bigint;
    _flow bigint;
    _node integer;
    _queue text;
BEGIN
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status = 'todo'
        RETURNING id, workflow_id, workflow_node INTO _job_id, _flow, _node;
        IF _flow IS NOT NULL THEN
            PERFORM workrow.end_nodes_v1(ARRAY[_flow], ARRAY[_node], ARRAY[CAST('cancelled' AS text)], NULL, NULL);
        END IF;
    ELSE
        _job_id := workrow.end_job_v1(job_id, ARRAY['todo']::procrastinate_job_status[], 'cancelled');
    END IF;
    IF _job_id IS NULL AND abort THEN
        UPDATE procrastinate_jobs
        SET abort_requested = true
        WHERE id = job_id AND status = 'doing'
        RETURNING id, queue_name INTO _job_id, _queue;
        IF _job_id IS NOT NULL THEN
            PERFORM workrow.notify_queue_v1(_queue, 'abort_job_requested', _job_id);
        END IF;
    END IF;
    RETURN _job_id;
END;
$function$
;

CREATE OR REPLACE FUNCTION procrastinate_fetch_job_v2(target_queue_names character varying[], p_worker_id bigint)
 RETURNS procrastinate_jobs
 LANGUAGE plpgsql
AS $function$
DECLARE
    found_jobs procrastinate_jobs;
    paused_queues text[] := ARRAY(SELECT name FROM workrow.pause_log WHERE kind = 'queue' AND resumed_at IS NULL);
    paused_tasks text[] := ARRAY(SELECT name FROM workrow.pause_log WHERE kind = 'task' AND resumed_at IS NULL);
BEGIN
    UPDATE procrastinate_jobs
    SET staged_at = scheduled_at
    WHERE id = ANY(ARRAY(
        SELECT id
        FROM procrastinate_jobs
        WHERE
            status = 'todo'
            AND scheduled_at IS NOT NULL
            AND staged_at IS DISTINCT FROM scheduled_at
            AND scheduled_at <= now()
        ORDER BY scheduled_at
        LIMIT 100
        FOR UPDATE SKIP LOCKED
    ));

    -- A worker of ours that takes another job of the same lock in this very moment asks for no advisory lock: who comes
    -- second meets it in the unique index, once it has committed, and looks again. Under REPEATABLE READ it would see
    -- no more the second time: then it finds nothing for now, as a worker does that has come too late.
    FOR look IN 1..10 LOOP
        BEGIN
            WITH RECURSIVE queues (name) AS (
                (
                    SELECT queue_name FROM procrastinate_jobs
                    WHERE status = 'todo' AND (scheduled_at IS NULL OR staged_at = scheduled_at) AND lock IS NULL
                    ORDER BY queue_name LIMIT 1
                )
                UNION ALL
                SELECT following.queue_name
                FROM queues
                CROSS JOIN LATERAL (
                    SELECT job.queue_name FROM procrastinate_jobs AS job
                    WHERE
                        job.status = 'todo' AND (job.scheduled_at IS NULL OR job.staged_at = job.scheduled_at) AND job.lock IS NULL
                        AND job.queue_name > queues.name
                    ORDER BY job.queue_name LIMIT 1
                ) AS following
            ),
            locks (name) AS (
                (
                    SELECT lock FROM procrastinate_jobs
                    WHERE status = 'todo' AND (scheduled_at IS NULL OR staged_at = scheduled_at) AND lock IS NOT NULL
                    ORDER BY lock LIMIT 1
                )
                UNION ALL
                SELECT following.lock
                FROM locks
                CROSS JOIN LATERAL (
                    SELECT job.lock FROM procrastinate_jobs AS job
                    WHERE
                        job.status = 'todo' AND (job.scheduled_at IS NULL OR job.staged_at = job.scheduled_at) AND job.lock IS NOT NULL
                        AND job.lock > locks.name
                    ORDER BY job.lock LIMIT 1
                ) AS following
            ),
            unlocked AS (
                SELECT head.id, head.priority
                FROM queues
                CROSS JOIN LATERAL (
                    SELECT job.id, job.priority FROM procrastinate_jobs AS job
                    WHERE
                        job.status = 'todo' AND (job.scheduled_at IS NULL OR job.staged_at = job.scheduled_at) AND job.lock IS NULL
                        AND job.queue_name = queues.name
                        AND job.task_name <> ALL(paused_tasks)
                        AND (job.expires_at IS NULL OR job.expires_at > clock_timestamp())
                    ORDER BY job.priority DESC, job.id + 0
                    LIMIT 1
                    FOR UPDATE SKIP LOCKED
                ) AS head
                WHERE
                    (target_queue_names IS NULL OR queues.name = ANY(target_queue_names))
                    AND queues.name <> ALL(paused_queues)
            ),
            heads AS (
                SELECT head.id, head.priority, locks.name
                FROM locks
                CROSS JOIN LATERAL (
                    SELECT job.id, job.priority, job.queue_name, job.task_name FROM procrastinate_jobs AS job
                    WHERE
                        job.status = 'todo' AND (job.scheduled_at IS NULL OR job.staged_at = job.scheduled_at) AND job.lock IS NOT NULL
                        AND job.lock = locks.name
                        AND (job.expires_at IS NULL OR job.expires_at > clock_timestamp())
                    ORDER BY job.priority DESC, job.id
                    LIMIT 1
                ) AS head
                WHERE
                    (target_queue_names IS NULL OR head.queue_name = ANY(target_queue_names))
                    AND head.queue_name <> ALL(paused_queues)
                    AND head.task_name <> ALL(paused_tasks)
                    AND (
                        SELECT holder.id FROM procrastinate_jobs AS holder
                        WHERE holder.status = 'doing' AND holder.lock = locks.name
                        LIMIT 1
                    ) IS NULL
                -- beyond so many free locks, priorities are those of the first ones
                LIMIT 100
            ),
            locked AS (
                SELECT head.id, head.priority
                -- the inner limit keeps the condition outside, where it is asked in order and until the first yes
                FROM (SELECT id, priority, name FROM heads ORDER BY priority DESC, id LIMIT 100) AS head
                -- another worker may be about to take this head: then the next lock's
                WHERE pg_try_advisory_xact_lock(hashtextextended('workrow lock ' || head.name, 0))
                LIMIT 1
            )
            UPDATE procrastinate_jobs
            SET status = 'doing', worker_id = p_worker_id, started_at = clock_timestamp()
            WHERE
                status = 'todo'
                AND id = (
                    SELECT candidate.id
                    FROM (SELECT id, priority FROM unlocked UNION ALL SELECT id, priority FROM locked) AS candidate
                    ORDER BY candidate.priority DESC, candidate.id
                    LIMIT 1
                )
            RETURNING procrastinate_jobs.* INTO found_jobs;

            RETURN found_jobs;
        EXCEPTION WHEN unique_violation THEN
            found_jobs := NULL;
        END;
    END LOOP;

    RETURN found_jobs;
END;
$function$
;

CREATE OR REPLACE FUNCTION procrastinate_finish_job_v1(job_id bigint, end_status procrastinate_job_status, delete_job boolean)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    _job_id bigint;
    _flow bigint;
    _node integer;
BEGIN
    IF end_status NOT IN ('succeeded', 'failed', 'aborted') THEN
        RAISE 'End status should be either "succeeded", "failed" or "aborted" (job id: %)', job_id;
    END IF;
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status IN ('todo', 'doing')
        RETURNING id, workflow_id, workflow_node INTO _job_id, _flow, _node;
        IF _flow IS NOT NULL THEN
            PERFORM workrow.end_nodes_v1(
                ARRAY[_flow], ARRAY[_node], ARRAY[CAST(end_status AS text)], NULL,
                ARRAY[CASE WHEN end_status = 'succeeded' THEN '{"type": "workrow.StockWorker", "message": "a stock procrastinate worker ran it, which keeps no result"}' END]
            );
        END IF;
    ELSE
        _job_id := workrow.end_job_v1(job_id, ARRAY['todo', 'doing']::procrastinate_job_status[], end_status);
    END IF;
    IF _job_id IS NULL THEN
        RAISE 'Job was not found or not in "doing" or "todo" status (job id: %)', job_id;
    END IF;
END;
$function$
;

CREATE OR REPLACE FUNCTION procrastinate_prune_stalled_workers_v1(seconds_since_heartbeat double precision)
 RETURNS TABLE(worker_id bigint)
 LANGUAGE plpgsql
AS $function$
BEGIN
    RETURN QUERY
    DELETE FROM procrastinate_workers AS silent
    WHERE
        silent.last_heartbeat < now() - seconds_since_heartbeat * INTERVAL '1 second'
        AND NOT EXISTS (SELECT FROM workrow.worker_details AS details WHERE details.worker_id = silent.id)
    RETURNING silent.id;
END;
$function$
;

CREATE OR REPLACE FUNCTION procrastinate_retry_job_v1(job_id bigint, retry_at timestamp with time zone, new_priority integer, new_queue_name character varying, new_lock character varying)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
BEGIN
    IF NOT EXISTS (SELECT FROM procrastinate_jobs WHERE id = job_id AND status = 'doing') THEN
        RAISE 'Job was not found or not in "doing" status (job id: %)', job_id;
    END IF;
    PERFORM procrastinate_retry_job_v2(job_id, retry_at, new_priority, new_queue_name, new_lock);
END;
$function$
;

CREATE OR REPLACE FUNCTION procrastinate_retry_job_v2(job_id bigint, retry_at timestamp with time zone, new_priority integer, new_queue_name character varying, new_lock character varying)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    _job_id bigint;
    _queue text;
BEGIN
    BEGIN
        UPDATE procrastinate_jobs
        SET
            status = 'todo',
            attempts = least(attempts, 2147483646) + 1,
            scheduled_at = CASE WHEN line IS NULL AND held_at IS NULL THEN retry_at ELSE '9000-01-01 00:00:00+00' END,
            due_at = CASE
                WHEN line IS NULL THEN NULL
                WHEN held_at IS NULL THEN coalesce(retry_at, clock_timestamp())
                ELSE '9000-01-01 00:00:00+00'
            END,
            held_at = CASE WHEN held_at IS NOT NULL THEN coalesce(retry_at, '1970-01-01 00:00:00+00') END,
            staged_at = NULL,
            priority = coalesce(new_priority, priority),
            queue_name = coalesce(new_queue_name, queue_name),
            line = workrow.line_in_queue_v1(line, new_queue_name),
            lock = coalesce(new_lock, lock)
        WHERE id = job_id AND status = 'doing' AND NOT abort_requested
        RETURNING id, queue_name INTO _job_id, _queue;
    EXCEPTION WHEN unique_violation THEN
        _job_id := workrow.supersede_job_v1(job_id);
    END;
    IF _job_id IS NULL THEN
        -- it was asked to abort meanwhile
        _job_id := workrow.end_job_v1(job_id, ARRAY['doing']::procrastinate_job_status[], 'failed');
    END IF;
    IF _job_id IS NULL THEN
        -- failed by a statement of version 1, and not swept yet
        PERFORM workrow.end_job_v1(job_id, ARRAY['failed']::procrastinate_job_status[], 'failed');
        BEGIN
            WITH failed AS (
                DELETE FROM workrow.history
                WHERE id = job_id AND status = 'failed'
                RETURNING *
            )
            INSERT INTO procrastinate_jobs (
                id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts,
                worker, created_at, errors, claims, version, unique_key, line, due_at
            )
            SELECT
                id,
                coalesce(new_queue_name, queue_name),
                task_name,
                coalesce(new_priority, priority),
                coalesce(new_lock, lock),
                queueing_lock,
                args,
                'todo',
                CASE WHEN line IS NULL THEN retry_at ELSE '9000-01-01 00:00:00+00' END,
                least(attempts, 2147483646) + 1,
                worker,
                created_at,
                errors,
                claims,
                version,
                unique_key,
                workrow.line_in_queue_v1(line, new_queue_name),
                CASE WHEN line IS NULL THEN NULL ELSE coalesce(retry_at, clock_timestamp()) END
            FROM failed
            RETURNING id INTO _job_id;
        EXCEPTION WHEN unique_violation THEN
            RAISE 'job % does not run again: a newer job has its unique key, or waits under its queueing lock', job_id
                USING ERRCODE = 'unique_violation';
        END;
    END IF;
    IF _job_id IS NULL THEN
        RAISE 'Job was not found or has an invalid status to retry (job id: %)', job_id;
    END IF;
    IF _queue IS NOT NULL AND retry_at <= now() THEN
        PERFORM workrow.notify_queue_v1(_queue, 'job_inserted', _job_id);
    END IF;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.add_nodes_v1(in_flow bigint, nodes jsonb, appended integer)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    open CONSTANT boolean := (SELECT flow.state = 'running' AND NOT flow.paused FROM workrow.flows AS flow WHERE flow.id = in_flow);
    missing integer[];
    empty integer[];
BEGIN
    WITH given AS MATERIALIZED (
        SELECT
            in_flow AS flow_id, node.name, node.kind, node.pending, node.kept, node.fires, node.callbacks, node.on_failure,
            node.spec, node.last, call.args,
            CAST(node.number + call.place - 1 AS integer) AS number,
            node.lines ->> CAST(call.place - 1 AS integer) AS line,
            CASE
                WHEN node.steps THEN ARRAY(SELECT before + call.place - 1 FROM unnest(node.dependents) AS before)
                ELSE node.dependents
            END AS dependents,
            CASE
                WHEN node.steps THEN ARRAY(SELECT before + call.place - 1 FROM unnest(node.parents) AS before)
                ELSE node.parents
            END AS parents,
            CASE
                WHEN node.steps AND node.takes IS NOT NULL THEN (
                    SELECT jsonb_object_agg(taken.key, CAST(taken.value AS integer) + call.place - 1)
                    FROM jsonb_each_text(node.takes) AS taken
                )
                ELSE node.takes
            END AS takes,
            CASE
                WHEN node.kind = 'task' AND node.pending = 0 AND node.fires IS NULL AND open
                    THEN nextval(pg_get_serial_sequence('procrastinate_jobs', 'id'))
            END AS job_id
        FROM jsonb_to_recordset(nodes) AS node (
            number integer, name text, kind text, pending integer, dependents integer[], parents integer[], takes jsonb,
            kept boolean, fires text, callbacks integer[], on_failure text, spec jsonb, args jsonb, lines jsonb,
            steps boolean, last boolean
        )
        CROSS JOIN LATERAL jsonb_array_elements(node.args) WITH ORDINALITY AS call (args, place)
    ),
    written AS (
        INSERT INTO workrow.flow_nodes (
            flow_id, number, name, kind, state, pending, dependents, parents, takes, kept, fires, callbacks, on_failure,
            spec, args, line, job_id, appended_to
        )
        SELECT
            given.flow_id, given.number, given.name, given.kind,
            CASE
                WHEN given.job_id IS NOT NULL THEN 'enqueued'
                WHEN given.kind = 'task' AND given.pending = 0 AND given.fires IS NULL THEN 'ready'
                ELSE 'waiting'
            END,
            given.pending, given.dependents, given.parents, given.takes, coalesce(given.kept, false), given.fires,
            given.callbacks, given.on_failure, given.spec,
            -- those of a job are in its row; one whose key is taken gets none at the first try
            CASE WHEN given.job_id IS NULL OR jsonb_exists_any(given.spec, ARRAY['unique_key', 'queueing_lock']) THEN given.args END,
            given.line, given.job_id, CASE WHEN given.last THEN appended END
        FROM given
    ),
    ready AS (
        SELECT * FROM given WHERE given.job_id IS NOT NULL
    ),
    inserted AS (
        INSERT INTO procrastinate_jobs (
    id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, line, due_at, version, unique_key, expires_at,
    workflow_id, workflow_node
)
SELECT
    ready.job_id,
    ready.spec ->> 'queue',
    ready.spec ->> 'task',
    coalesce(CAST(ready.spec ->> 'priority' AS integer), 0),
    ready.spec ->> 'lock',
    ready.spec ->> 'queueing_lock',
    ready.args,
    CASE WHEN ready.line IS NULL THEN start.at ELSE '9000-01-01 00:00:00+00' END,
    ready.line,
    CASE WHEN ready.line IS NOT NULL THEN start.at END,
    CAST(ready.spec ->> 'version' AS smallint),
    ready.spec ->> 'unique_key',
    coalesce(
        CAST(ready.spec ->> 'expires_at' AS timestamptz),
        coalesce(start.at, clock_timestamp()) + CAST(ready.spec ->> 'lifetime' AS double precision) * INTERVAL '1 second'
    ),
    ready.flow_id,
    ready.number
FROM ready
CROSS JOIN LATERAL (
    SELECT coalesce(
        CAST(ready.spec ->> 'at' AS timestamptz),
        clock_timestamp() + CAST(ready.spec ->> 'delay' AS double precision) * INTERVAL '1 second'
    ) AS at
) AS start
ON CONFLICT DO NOTHING
RETURNING id
    )
    SELECT
        ARRAY(
            SELECT ready.number
            FROM ready
            WHERE
                jsonb_exists_any(ready.spec, ARRAY['unique_key', 'queueing_lock'])
                AND ready.job_id NOT IN (SELECT inserted.id FROM inserted)
        ),
        ARRAY(SELECT given.number FROM given WHERE given.kind <> 'task' AND given.pending = 0)
    INTO missing, empty;
    IF cardinality(missing) > 0 THEN
        UPDATE workrow.flow_nodes SET state = 'waiting', job_id = NULL WHERE flow_id = in_flow AND number = ANY(missing);
        empty := empty || missing;
    END IF;
    IF cardinality(empty) > 0 THEN
        PERFORM workrow.advance_nodes_v1(
            array_fill(in_flow, ARRAY[cardinality(empty)]), empty, array_fill(0, ARRAY[cardinality(empty)])
        );
        PERFORM workrow.settle_workflows_v1(ARRAY[in_flow]);
    END IF;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.admit_v1(rule jsonb, keys text[])
 RETURNS integer[]
 LANGUAGE plpgsql
AS $function$
DECLARE
    most integer := CAST(rule ->> 'limit' AS integer);
    per interval := CAST(rule ->> 'per' AS double precision) * INTERVAL '1 second';
    wanted record;
    recent timestamptz[];
    admitted integer[] := '{}';
BEGIN
    FOR wanted IN
        SELECT given.key, array_agg(CAST(given.place AS integer) ORDER BY given.place) AS places
        FROM unnest(keys) WITH ORDINALITY AS given (key, place)
        GROUP BY given.key
        -- in the same order in every transaction, so that no two of them wait for each other
        ORDER BY given.key COLLATE "C"
    LOOP
        INSERT INTO workrow.throttles AS known (key, taken, over_at)
        VALUES (wanted.key, '{}', clock_timestamp() + per)
        ON CONFLICT (key) DO UPDATE SET
            over_at = clock_timestamp() + per,
            taken = CASE
                -- the clock was set back: what is still to come was now
                WHEN known.over_at > clock_timestamp() + per
                    THEN ARRAY(SELECT least(past.at, clock_timestamp()) FROM unnest(known.taken) AS past (at))
                ELSE known.taken
            END
        RETURNING known.taken INTO recent;
        recent := ARRAY(SELECT taken.at FROM unnest(recent) AS taken (at) WHERE taken.at > clock_timestamp() - per);
        admitted := admitted || wanted.places[1:greatest(0, most - cardinality(recent))];
    END LOOP;
    RETURN admitted;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.admitted_v1(rule jsonb, keys text[], places integer[], ids bigint[])
 RETURNS void
 LANGUAGE sql
AS $function$
    UPDATE workrow.throttles AS known
    SET
        taken = ARRAY(
            SELECT earlier.at
            FROM unnest(known.taken) AS earlier (at)
            WHERE earlier.at > clock_timestamp() - CAST(rule ->> 'per' AS double precision) * INTERVAL '1 second'
        ) || array_fill(clock_timestamp(), ARRAY[let.through]),
        job_id = let.last_id
    FROM (
        SELECT keys[given.place] AS key, CAST(count(*) AS integer) AS through, max(given.id) AS last_id
        FROM unnest(places, ids) AS given (place, id)
        GROUP BY 1
    ) AS let
    WHERE known.key = let.key
$function$
;

CREATE OR REPLACE FUNCTION workrow.advance_nodes_v1(flow_ids bigint[], numbers integer[], times integer[])
 RETURNS void
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
DECLARE
    calling boolean;
    ended_flows bigint[];
    ended_numbers integer[];
BEGIN
    WHILE cardinality(flow_ids) > 0 LOOP
        WITH moved AS (
            UPDATE workrow.flow_nodes AS node
            SET
                pending = node.pending - given.times,
                state = CASE
                    WHEN node.pending > given.times THEN node.state
                    WHEN node.kind <> 'task' OR node.state = 'expanded' THEN 'gathered'
                    WHEN node.fires IS NULL AND (flow.paused OR flow.state <> 'running') THEN 'ready'
                    ELSE 'enqueued'
                END,
                job_id = CASE
                    WHEN
                        node.pending <= given.times AND node.kind = 'task' AND node.state <> 'expanded'
                        AND (node.fires IS NOT NULL OR NOT flow.paused AND flow.state = 'running')
                        THEN nextval(pg_get_serial_sequence('procrastinate_jobs', 'id'))
                    ELSE node.job_id
                END
            FROM unnest(flow_ids, numbers, times) AS given (flow_id, number, times)
            INNER JOIN workrow.flows AS flow ON flow.id = given.flow_id
            WHERE
                node.flow_id = given.flow_id
                AND node.number = given.number
                AND node.state IN ('waiting', 'ready', 'expanded')
            RETURNING node.flow_id, node.number, node.state, node.takes, node.fires, node.parents, node.spec, node.args, node.line, node.job_id
        ),
        ready AS (
            SELECT
                moved.flow_id, moved.number, moved.spec, moved.line, moved.job_id,
                CASE
                    WHEN moved.takes IS NULL THEN moved.args
                    ELSE moved.args || (
                        SELECT jsonb_object_agg(
                            taken.argument,
                            CASE
                                WHEN moved.fires = 'failure' THEN workrow.failure_of_node_v1(giver)
                                WHEN moved.fires = 'end' AND moved.parents = '{}' THEN (
                                    SELECT jsonb_build_object('workflow_id', whole.id, 'state', whole.state)
                                    FROM workrow.flows AS whole
                                    WHERE whole.id = moved.flow_id
                                )
                                ELSE coalesce(giver.result, 'null')
                            END
                        )
                        FROM jsonb_each_text(moved.takes) AS taken (argument, number)
                        INNER JOIN workrow.flow_nodes AS giver
                            ON giver.flow_id = moved.flow_id AND giver.number = CAST(taken.number AS integer)
                    )
                END AS args
            FROM moved
            WHERE moved.state = 'enqueued'
            ORDER BY moved.flow_id, moved.number
        ),
        inserted AS (
            INSERT INTO procrastinate_jobs (
    id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, line, due_at, version, unique_key, expires_at,
    workflow_id, workflow_node
)
SELECT
    ready.job_id,
    ready.spec ->> 'queue',
    ready.spec ->> 'task',
    coalesce(CAST(ready.spec ->> 'priority' AS integer), 0),
    ready.spec ->> 'lock',
    ready.spec ->> 'queueing_lock',
    ready.args,
    CASE WHEN ready.line IS NULL THEN start.at ELSE '9000-01-01 00:00:00+00' END,
    ready.line,
    CASE WHEN ready.line IS NOT NULL THEN start.at END,
    CAST(ready.spec ->> 'version' AS smallint),
    ready.spec ->> 'unique_key',
    coalesce(
        CAST(ready.spec ->> 'expires_at' AS timestamptz),
        coalesce(start.at, clock_timestamp()) + CAST(ready.spec ->> 'lifetime' AS double precision) * INTERVAL '1 second'
    ),
    ready.flow_id,
    ready.number
FROM ready
CROSS JOIN LATERAL (
    SELECT coalesce(
        CAST(ready.spec ->> 'at' AS timestamptz),
        clock_timestamp() + CAST(ready.spec ->> 'delay' AS double precision) * INTERVAL '1 second'
    ) AS at
) AS start
ON CONFLICT DO NOTHING
RETURNING id
        ),
        ended AS (
            SELECT moved.flow_id, moved.number FROM moved WHERE moved.state = 'gathered'
            UNION ALL
            SELECT ready.flow_id, ready.number
            FROM ready
            WHERE
                jsonb_exists_any(ready.spec, ARRAY['unique_key', 'queueing_lock'])
                AND ready.job_id NOT IN (SELECT inserted.id FROM inserted)
        )
        SELECT array_agg(ended.flow_id), array_agg(ended.number) INTO ended_flows, ended_numbers FROM ended;
        EXIT WHEN ended_flows IS NULL;

        WITH ended AS (
            UPDATE workrow.flow_nodes AS node
            SET
                state = CASE WHEN node.state = 'gathered' THEN 'succeeded' ELSE 'skipped' END,
                ended_at = clock_timestamp(),
                result = CASE WHEN node.kept THEN workrow.value_of_node_v1(node) END
            FROM unnest(ended_flows, ended_numbers) AS given (flow_id, number)
            WHERE node.flow_id = given.flow_id AND node.number = given.number
            RETURNING node.flow_id, node.dependents, node.callbacks
        ),
        hits AS (
            SELECT ended.flow_id, dependent.number, CAST(count(*) AS integer) AS times
            FROM ended
            CROSS JOIN LATERAL unnest(ended.dependents) AS dependent (number)
            GROUP BY ended.flow_id, dependent.number
        )
        SELECT
            (SELECT bool_or(ended.callbacks IS NOT NULL) FROM ended),
            array_agg(hits.flow_id), array_agg(hits.number), array_agg(hits.times)
        INTO calling, flow_ids, numbers, times
        FROM hits;
        IF calling THEN
            PERFORM workrow.call_back_v1(ended_flows, ended_numbers);
        END IF;
    END LOOP;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.append_nodes_v1(in_job bigint, nodes jsonb)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    job record;
BEGIN
    SELECT own.workflow_id, own.workflow_node INTO job
    FROM procrastinate_jobs AS own
    WHERE own.id = in_job AND own.status = 'doing' AND own.workflow_id IS NOT NULL
    FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM workrow.add_nodes_v1(
        job.workflow_id,
        workrow.renumber_nodes_v1(
            nodes,
            ARRAY(
                SELECT CAST(nextval('workrow.flow_numbers') AS integer)
                FROM generate_series(1, jsonb_array_length(nodes))
            )
        ),
        job.workflow_node
    );
    RETURN job.workflow_id;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.appended_v1(node workrow.flow_nodes)
 RETURNS integer
 LANGUAGE sql
 STABLE
AS $function$
    SELECT CAST(count(*) AS integer)
    FROM workrow.flow_nodes AS appended
    INNER JOIN workrow.flows AS flow ON flow.id = appended.flow_id
    WHERE
        appended.flow_id = node.flow_id
        AND appended.number >= 10000000
        AND appended.appended_to = node.number
        AND appended.state NOT IN ('succeeded', 'skipped')
        AND (appended.state NOT IN ('failed', 'cancelled') OR coalesce(appended.on_failure, flow.on_failure) <> 'continue')
$function$
;

CREATE OR REPLACE FUNCTION workrow.arrive_lines_v1()
 RETURNS void
 LANGUAGE sql
AS $function$
    SELECT workrow.arrive_lines_v2('{}')
$function$
;

CREATE OR REPLACE FUNCTION workrow.arrive_lines_v2(held text[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    -- a volatile function is no bound of an index scan: each call walked over all that waits for a time
    moment CONSTANT timestamptz := clock_timestamp();
BEGIN
    WITH due AS (
        UPDATE procrastinate_jobs AS job
        SET staged_at = job.due_at, due_at = NULL
        WHERE job.id = ANY(ARRAY(
            SELECT waiting.id
            FROM procrastinate_jobs AS waiting
            WHERE
                waiting.status = 'todo' AND waiting.line IS NOT NULL AND waiting.due_at IS NOT NULL
                AND waiting.due_at <= moment
                AND waiting.line <> ALL(held)
            ORDER BY waiting.due_at
            LIMIT 1000
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING job.line, job.priority
    ),
    arrived AS (
        DELETE FROM workrow.line_arrivals
        WHERE id = ANY(ARRAY(
            SELECT arrival.id
            FROM workrow.line_arrivals AS arrival
            WHERE arrival.line <> ALL(held)
            ORDER BY arrival.id
            LIMIT 5000
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING line, priority
    ),
    come AS (
        SELECT each.line, max(each.priority) AS priority, bool_or(each.is_due) AS is_due
        FROM (
            SELECT line, priority, true AS is_due FROM due
            UNION ALL
            SELECT line, priority, false FROM arrived
        ) AS each
        GROUP BY each.line
    )
    INSERT INTO workrow.lines AS known (line, queue_name, task_name, buckets, priority, turn)
    SELECT
        come.line,
        parsed.line ->> 0,
        -- NULL is refused
        CASE WHEN (
    jsonb_array_length(parsed.line) > 2
    AND NOT parsed.line @? 'strict $[*] ? (@.type() != "string")'
) THEN parsed.line ->> 1 END,
        ARRAY(SELECT jsonb_array_elements_text(parsed.line - 0 - 0)),
        come.priority,
        (SELECT last_value FROM workrow.line_turns) / 1000.0
    FROM come
    CROSS JOIN LATERAL (SELECT CAST(come.line AS jsonb) AS line) AS parsed
    -- a job that is due cannot be seen by others yet, who would take a line without jobs away
    WHERE come.is_due OR NOT EXISTS (
        SELECT
        FROM workrow.lines AS waiting
        WHERE
            waiting.line = come.line
            AND (waiting.blocked_on IS NOT NULL OR waiting.wake_at IS NOT NULL)
            AND waiting.priority >= come.priority
    )
    ORDER BY come.line
    ON CONFLICT (line) DO UPDATE
    SET priority = greatest(known.priority, excluded.priority), blocked_on = NULL, wake_at = NULL
    WHERE known.priority < excluded.priority OR known.blocked_on IS NOT NULL OR known.wake_at IS NOT NULL;

    UPDATE workrow.lines
    SET blocked_on = NULL, wake_at = NULL
    WHERE line = ANY(ARRAY(
        SELECT waiting.line
        FROM workrow.lines AS waiting
        WHERE waiting.wake_at <= moment
        ORDER BY waiting.wake_at
        LIMIT 1000
        FOR UPDATE SKIP LOCKED
    ));
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.break_workflow_v1(in_flow bigint, numbers integer[], why text)
 RETURNS void
 LANGUAGE sql
AS $function$
    UPDATE workrow.flow_nodes
    SET
        state = CASE WHEN state = 'enqueued' THEN 'failed' ELSE 'cancelled' END,
        error = jsonb_build_object(
            'type', 'workrow.WorkflowBroken', 'message', 'the workflow cannot go on after it: ' || left(why, 1000), 'discarded', false
        ),
        ended_at = clock_timestamp()
    WHERE
        flow_id = in_flow
        AND (state IN ('waiting', 'ready', 'expanded') OR state = 'enqueued' AND number = ANY(numbers));
    UPDATE workrow.flows
    SET state = 'failed', failed_node = coalesce(failed_node, numbers[1], root), paused = false, ended_at = clock_timestamp()
    WHERE id = in_flow AND ended_at IS NULL;
    SELECT workrow.free_nodes_v1(in_flow, 20);
$function$
;

CREATE OR REPLACE FUNCTION workrow.call_back_v1(flow_ids bigint[], numbers integer[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    call record;
BEGIN
    FOR call IN
        SELECT callback.flow_id, callback.number, callback.fires IN (
            'end', CASE WHEN node.state IN ('succeeded', 'skipped') THEN 'success' ELSE 'failure' END
        ) AS due
        FROM unnest(flow_ids, numbers) AS given (flow_id, number)
        INNER JOIN workrow.flow_nodes AS node ON node.flow_id = given.flow_id AND node.number = given.number
        INNER JOIN workrow.flow_nodes AS callback
            ON callback.flow_id = node.flow_id AND callback.number = ANY(node.callbacks)
        WHERE callback.state = 'waiting'
        ORDER BY callback.flow_id, callback.number
    LOOP
        IF call.due THEN
            PERFORM workrow.advance_nodes_v1(ARRAY[call.flow_id], ARRAY[call.number], ARRAY[1]);
        ELSE
            UPDATE workrow.flow_nodes SET state = 'skipped'
            WHERE flow_id = call.flow_id AND number = call.number;
        END IF;
    END LOOP;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.call_failure_hook_v1()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    hook workrow.failure_hooks;
    error CONSTANT jsonb := NEW.errors -> -1;
BEGIN
    SELECT * INTO hook FROM workrow.failure_hooks WHERE task_name = NEW.task_name;
    IF NOT FOUND
        -- whoever has to know has been told, by the statement that has ended it
        OR error ? 'told'
        OR NEW.status = 'cancelled' AND error ->> 'type' IS DISTINCT FROM 'workrow.Expired'
        OR EXISTS (SELECT FROM workrow.failure_hooks AS other WHERE other.hook_name = NEW.task_name)
    THEN
        RETURN NULL;
    END IF;
    BEGIN
        INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, scheduled_at, line, version, args)
        VALUES (
            coalesce(nullif(hook.queue_name, 'workrow.queue_of_the_job'), NEW.queue_name), hook.hook_name, hook.priority, hook.lock, hook.scheduled_at, hook.line, hook.version,
            jsonb_build_object(hook.argument, jsonb_build_object(
                'job_id', NEW.id,
                'task', NEW.task_name,
                'queue', NEW.queue_name,
                'args', coalesce(
    (
        SELECT
            CASE
                WHEN bool_or(hidden.name = '*') OR jsonb_typeof(NEW.args) <> 'object' THEN CAST('{"***": "***"}' AS jsonb)
                ELSE NEW.args || coalesce(
                    jsonb_object_agg(hidden.name, '***') FILTER (WHERE jsonb_exists(NEW.args, hidden.name)), CAST('{}' AS jsonb)
                )
            END
        FROM workrow.hidden_arguments AS hidden
        WHERE hidden.task_name = NEW.task_name AND hidden.name <> 'return'
        HAVING count(*) > 0
    ),
    NEW.args
),
                'status', NEW.status,
                'reason', CASE
                    WHEN NEW.status = 'cancelled' THEN 'expired'
                    WHEN NEW.quarantine IS NOT NULL AND error ->> 'type' = 'workrow.Crashed' THEN 'crashed'
                    WHEN NEW.quarantine IS NOT NULL THEN 'bad_arguments'
                    WHEN CAST(error ->> 'discarded' AS boolean) THEN 'discarded'
                    ELSE 'failed'
                END,
                'error_type', error ->> 'type',
                'error_message', error ->> 'message',
                'traceback', error ->> 'traceback',
                'attempts', NEW.attempts,
                'crashes', NEW.crashes,
                'failed_at', NEW.finished_at
            ))
        );
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded OR raise_exception THEN
        RAISE WARNING 'job % has failed, and its hook % cannot be enqueued: %', NEW.id, hook.hook_name, SQLERRM;
    END;
    RETURN NULL;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.call_limit_v1(limit_name text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
BEGIN
    INSERT INTO workrow.limit_calls (name) VALUES (limit_name);
    PERFORM workrow.notify_queue_v1(known.name, 'job_inserted', 0) FROM workrow.queue_names AS known;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.call_lines_v1()
 RETURNS void
 LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM workrow.call_lines_v2();
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.call_lines_v2()
 RETURNS boolean
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    is_left boolean := false;
    calls bigint[];
    changed text[];
    ended tid[];
    wanted text[];
    held text[];
    missing text[] := '{}';
    freed text[];
    counts integer[];
BEGIN
    BEGIN
        PERFORM workrow.arrive_lines_v2('{}');
    EXCEPTION
        WHEN lock_not_available OR data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
            is_left := SQLSTATE = '55P03';
            PERFORM workrow.arrive_lines_v2(workrow.held_lines_v1());
    END;

    SELECT array_agg(call.id), array_agg(DISTINCT call.name) INTO calls, changed
    FROM (SELECT id, name FROM workrow.limit_calls ORDER BY id FOR UPDATE SKIP LOCKED) AS call;

    SELECT array_agg(over.place), array_agg(over.bucket) INTO ended, wanted
    FROM (
        SELECT slot.ctid AS place, slot.bucket
        FROM workrow.limit_slots AS slot
        -- a subquery with LIMIT stays one probe of the primary key; NOT EXISTS became a join with the whole table
        WHERE (
            SELECT job.id
            FROM procrastinate_jobs AS job
            WHERE job.id = slot.job_id AND job.status = 'doing' AND job.claims = slot.token
            LIMIT 1
        ) IS NULL
        ORDER BY slot.bucket
        FOR UPDATE SKIP LOCKED
    ) AS over;
    IF changed IS NOT NULL THEN
        wanted := wanted || ARRAY(
            SELECT known.bucket
            FROM workrow.limit_buckets AS known
            WHERE known.name = ANY(changed) OR known.bucket = ANY(changed)
        );
    END IF;
    IF coalesce(cardinality(wanted), 0) = 0 AND changed IS NULL THEN
        RETURN is_left;
    END IF;
    BEGIN
        PERFORM FROM workrow.limit_buckets WHERE bucket = ANY(wanted) ORDER BY bucket FOR UPDATE;
    EXCEPTION WHEN lock_not_available THEN
        is_left := true;
        held := ARRAY(SELECT bucket FROM workrow.limit_buckets WHERE bucket = ANY(wanted) FOR UPDATE SKIP LOCKED);
        missing := ARRAY(
            SELECT bucket FROM workrow.limit_buckets WHERE bucket = ANY(wanted) AND bucket <> ALL(held)
        );
    END;

    WITH gone AS (
        DELETE FROM workrow.limit_slots WHERE ctid = ANY(ended) AND bucket <> ALL(missing) RETURNING bucket
    )
    SELECT array_agg(each.bucket), array_agg(each.n) INTO freed, counts
    FROM (SELECT gone.bucket, CAST(count(*) AS integer) AS n FROM gone GROUP BY gone.bucket) AS each;
    -- and who waits for locks may have waited for one of these jobs
    PERFORM workrow.wake_lines_v1(
        freed || ARRAY(SELECT 'locks of ' || bucket FROM unnest(freed) AS bucket), counts || counts
    );
    IF changed IS NOT NULL THEN
        DELETE FROM workrow.limit_calls WHERE id = ANY(calls) AND name <> ALL(missing);
        -- what is left of a call is for one bucket
        INSERT INTO workrow.limit_calls (name)
        SELECT bucket
        FROM unnest(missing) AS bucket
        WHERE split_part(bucket, '=', 1) = ANY(changed) AND bucket <> ALL(changed);
        wanted := ARRAY(
            SELECT waiting.line
            FROM workrow.lines AS waiting
            WHERE
                (waiting.blocked_on IS NOT NULL OR waiting.wake_at IS NOT NULL)
                AND EXISTS (
                    SELECT FROM unnest(waiting.buckets) AS bucket
                    WHERE split_part(bucket, '=', 1) = ANY(changed) OR bucket = ANY(changed)
                )
                AND NOT waiting.buckets && missing
        );
        held := ARRAY(SELECT line FROM workrow.lines WHERE line = ANY(wanted) FOR UPDATE SKIP LOCKED);
        UPDATE workrow.lines SET blocked_on = NULL, wake_at = NULL WHERE line = ANY(held);
        IF cardinality(held) < cardinality(wanted) THEN
            is_left := true;
            INSERT INTO workrow.limit_calls (name)
            SELECT DISTINCT line.buckets[1]
            FROM workrow.lines AS line
            WHERE line.line = ANY(wanted) AND line.line <> ALL(held);
        END IF;
    END IF;
    RETURN is_left;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.cancel_job_v1(job_id bigint, terminate boolean DEFAULT false)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    _queue text;
BEGIN
    -- twice: between the two statements a running job may have gone back to the queue
    FOR _ IN 1..2 LOOP
        IF workrow.end_job_v1(job_id, ARRAY['todo']::procrastinate_job_status[], 'cancelled') IS NOT NULL THEN
            RETURN 'cancelled';
        END IF;
        UPDATE procrastinate_jobs
        SET abort_requested = true, terminate_requested = terminate_requested OR terminate
        WHERE id = job_id AND status = 'doing'
        RETURNING queue_name INTO _queue;
        IF _queue IS NOT NULL THEN
            PERFORM workrow.notify_queue_v1(_queue, 'abort_job_requested', job_id);
            RETURN 'aborting';
        END IF;
    END LOOP;
    RETURN NULL;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.cancel_node_jobs_v1(in_flow bigint, max_rows integer)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
DECLARE
    waiting bigint[];
BEGIN
    WITH held AS MATERIALIZED (
        SELECT job.id, node.number
        FROM workrow.flow_nodes AS node
        INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
        WHERE node.flow_id = in_flow AND node.state = 'enqueued' AND node.fires IS NULL AND job.status = 'todo'
        ORDER BY node.number
        LIMIT max_rows
        FOR UPDATE OF job SKIP LOCKED
    ),
    cancelled AS (
        UPDATE workrow.flow_nodes AS node
        SET state = 'cancelled', ended_at = clock_timestamp()
        FROM held
        WHERE node.flow_id = in_flow AND node.number = held.number
        RETURNING held.id
    )
    SELECT array_agg(cancelled.id) INTO waiting FROM cancelled;
    RETURN CASE WHEN waiting IS NULL THEN 0 ELSE workrow.move_finished_v1(waiting, 'cancelled') END;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.cancel_workflow_v1(in_flow bigint)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    running bigint;
BEGIN
    UPDATE workrow.flows
    SET state = 'cancelling', paused = false
    WHERE id = in_flow AND state IN ('running', 'stopping', 'cancelling');
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM workrow.cancel_node_jobs_v1(in_flow, 100000);
    FOR running IN
        -- who ends in this moment is not waited for: its end waits for the workflow; one that adds to it is asked, too
        SELECT job.id
        FROM workrow.flow_nodes AS node
        INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
        WHERE node.flow_id = in_flow AND node.state = 'enqueued' AND node.fires IS NULL AND job.status = 'doing'
        FOR NO KEY UPDATE OF job SKIP LOCKED
    LOOP
        PERFORM workrow.cancel_job_v1(running);
    END LOOP;
    PERFORM workrow.settle_workflows_v1(ARRAY[in_flow]);
    RETURN (SELECT flow.state FROM workrow.flows AS flow WHERE flow.id = in_flow);
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.celery_cancelled_v1()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    word text := 'cancelled';
BEGIN
    IF NEW.task_name = 'workrow.celery.ended' THEN
        INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES (NEW.queue_name, NEW.task_name, NEW.args);
        RETURN NULL;
    END IF;
    IF NEW.status = 'aborted' THEN
        -- else its worker has told it, and what stands there is of a run before
        IF CAST(NEW.errors -> -1 ->> 'at' AS timestamptz) < now() THEN
            RETURN NULL;
        END IF;
        word := 'terminated';
    END IF;
    IF NEW.task_name = 'workrow.celery.join' THEN
        INSERT INTO procrastinate_jobs (queue_name, task_name, args)
        VALUES (
            NEW.queue_name, 'workrow.celery.ended',
            jsonb_build_object('failure', jsonb_build_object(
                'job_id', NEW.id, 'task', NEW.task_name, 'queue', NEW.queue_name, 'args', NEW.args, 'revoked', word
            ))
        );
        RETURN NULL;
    END IF;
    IF current_setting('workrow.celery_revokes', true) = 'on' THEN
        RETURN NULL;
    END IF;
    PERFORM workrow.celery_revoked_v1(
        NEW.id, NEW.task_name, NEW.queue_name, NEW.args,
        jsonb_build_object('__json__', jsonb_build_object(
            'exc_type', 'TaskRevokedError', 'exc_message', jsonb_build_array(word), 'exc_module', 'celery.exceptions'
        ) #>> '{}'),
        86400
    );
    RETURN NULL;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'job % is %, and its Celery result cannot say so: %', NEW.id, NEW.status, SQLERRM;
    RETURN NULL;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.celery_command_v1(method text, arguments jsonb, destination text[], pattern text, matcher text)
 RETURNS TABLE(command_id bigint, workers bigint[])
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    WITH sent AS (
        INSERT INTO workrow.celery_commands (method, arguments, destination, pattern, matcher)
        SELECT
            celery_command_v1.method, celery_command_v1.arguments, celery_command_v1.destination,
            celery_command_v1.pattern, celery_command_v1.matcher
        RETURNING id
    ),
    told AS MATERIALIZED (
        SELECT CAST(pg_notify('workrow_celery', '') AS text) AS done WHERE (
    pg_notification_queue_usage() < 0.75
    AND coalesce(current_setting('workrow.notify', true), '') <> 'off'
)
    )
    SELECT
        sent.id,
        ARRAY(
            SELECT worker.id
            FROM workrow.workers AS worker
            WHERE
                worker.alive
                -- what only workers of these apps have
                AND 'workrow.celery.join' = ANY(worker.tasks)
                AND (celery_command_v1.destination IS NULL OR worker.name = ANY(celery_command_v1.destination))
        )
    FROM sent
    LEFT JOIN told ON true
$function$
;

CREATE OR REPLACE FUNCTION workrow.celery_dial_v1(task text, percent double precision, sticky_by text, shadow double precision)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    INSERT INTO workrow.celery_bridge_dials AS known (task, percent, sticky_by, shadow)
    VALUES (
        celery_dial_v1.task, celery_dial_v1.percent, nullif(celery_dial_v1.sticky_by, ''), celery_dial_v1.shadow
    )
    ON CONFLICT (task) DO UPDATE
    SET
        percent = coalesce(excluded.percent, known.percent),
        sticky_by = CASE WHEN celery_dial_v1.sticky_by IS NULL THEN known.sticky_by ELSE excluded.sticky_by END,
        shadow = coalesce(excluded.shadow, known.shadow),
        changed_at = excluded.changed_at
$function$
;

CREATE OR REPLACE FUNCTION workrow.celery_forget_v1(ids text[])
 RETURNS bigint
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    WITH results AS (
        DELETE FROM workrow.celery_results WHERE task_id = ANY(ids) RETURNING 1
    ),
    groups AS (
        DELETE FROM workrow.celery_groups WHERE group_id = ANY(ids) RETURNING 1
    )
    SELECT (SELECT count(*) FROM results) + (SELECT count(*) FROM groups)
$function$
;

CREATE OR REPLACE FUNCTION workrow.celery_move_v1(moves jsonb, came text)
 RETURNS text[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    fresh text[];
BEGIN
    WITH written AS (
        INSERT INTO workrow.celery_bridge_moves (key, task, came)
        SELECT DISTINCT ON (given.key) given.key, given.task, celery_move_v1.came
        FROM jsonb_to_recordset(moves) AS given (key text, task text)
        ORDER BY given.key
        ON CONFLICT (key) DO NOTHING
        RETURNING key
    )
    SELECT coalesce(array_agg(key), '{}') INTO fresh FROM written;
    PERFORM workrow.celery_write_v1(array_agg(given.value -> 'effects' ORDER BY given.n))
    FROM (
        SELECT DISTINCT ON (value ->> 'key') value, n
        FROM jsonb_array_elements(moves) WITH ORDINALITY AS all_given (value, n)
        WHERE value ->> 'key' = ANY(fresh) AND value ? 'effects'
        ORDER BY value ->> 'key', n
    ) AS given
    HAVING count(*) > 0;
    RETURN fresh;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.celery_once_v1(job jsonb, rule jsonb, call jsonb, key text, line text, OUT verdict text, OUT task_id text)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    replaces boolean := rule ->> 'on_conflict' = 'replace';
    lines text[] := CASE WHEN line IS NULL THEN '{}' ELSE ARRAY[line] END;
    found_id bigint;
    known jsonb;
BEGIN
    IF EXISTS (SELECT FROM workrow.celery_revoked AS revoked WHERE revoked.task_id = call ->> 'id') THEN
        call := call || '{"revoked": true}';
    END IF;
    -- again where what was found will not run, or is gone, history and all
    FOR _ IN 1..100 LOOP
        SELECT once.verdict, once.job_id INTO verdict, found_id
        FROM workrow.enqueue_once_v1(
            job, CASE WHEN replaces THEN rule || '{"on_conflict": "skip"}' ELSE rule END,
            jsonb_build_array(call), ARRAY[key], lines
        ) AS once;
        IF verdict NOT IN ('found', 'conflict') THEN
            task_id := call ->> 'id';
            RETURN;
        END IF;
        IF EXISTS (
            SELECT FROM procrastinate_jobs
            WHERE
                id = found_id
                AND (jsonb_exists(args, 'revoked') OR CAST(args ->> 'expires' AS timestamptz) <= clock_timestamp())
        ) AND workrow.end_job_v1(found_id, ARRAY['todo']::procrastinate_job_status[], 'cancelled') IS NOT NULL THEN
            verdict := 'busy';
            CONTINUE;
        END IF;
        IF replaces THEN
            SELECT args INTO known FROM procrastinate_jobs WHERE id = found_id AND status = 'todo' FOR UPDATE;
            IF FOUND THEN
                PERFORM workrow.change_waiting_v1(
                    jsonb_populate_record(CAST(NULL AS procrastinate_jobs), job), rule,
                    jsonb_build_array(known || (call - ARRAY['id', 'root_id', 'parent_id'])),
                    lines, ARRAY[1], ARRAY[found_id], NULL
                );
            END IF;
        END IF;
        SELECT args ->> 'id' INTO task_id FROM procrastinate_jobs WHERE id = found_id;
        EXIT WHEN FOUND;
        SELECT args ->> 'id' INTO task_id FROM workrow.history WHERE id = found_id;
        IF FOUND THEN
            -- a run that asks for a retry has succeeded as a job; what counts is how the last one has ended
            EXIT WHEN NOT EXISTS (
                SELECT FROM workrow.history AS later
                WHERE
                    later.unique_key = key
                    AND later.id > found_id
                    AND later.args ->> 'id' = celery_once_v1.task_id
                    AND NOT rule -> 'states' ? CAST(later.status AS text)
            );
            rule := rule - ARRAY['within', 'states'];
        END IF;
        verdict := 'busy';
    END LOOP;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.celery_prune_v1(most integer, lasts interval)
 RETURNS bigint
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    WITH results AS (
        DELETE FROM workrow.celery_results
        WHERE task_id = ANY(ARRAY(
            SELECT task_id FROM workrow.celery_results
            WHERE expires_at < clock_timestamp()
            ORDER BY expires_at
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ),
    groups AS (
        DELETE FROM workrow.celery_groups
        WHERE group_id = ANY(ARRAY(
            SELECT group_id FROM workrow.celery_groups
            WHERE expires_at < clock_timestamp()
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ),
    revoked AS (
        DELETE FROM workrow.celery_revoked
        WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM workrow.celery_revoked
            WHERE revoked_at < clock_timestamp() - lasts
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ),
    commands AS (
        DELETE FROM workrow.celery_commands
        WHERE id = ANY(ARRAY(
            SELECT id FROM workrow.celery_commands
            -- twice as long as workers read them
            WHERE sent_at < clock_timestamp() - INTERVAL '10 minutes'
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ),
    untold AS (
        DELETE FROM workrow.celery_untold
        WHERE job_id = ANY(ARRAY(
            SELECT job_id FROM workrow.celery_untold
            WHERE revoked_at < clock_timestamp() - INTERVAL '10 minutes'
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ),
    replies AS (
        DELETE FROM workrow.celery_replies
        WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM workrow.celery_replies AS said
            WHERE NOT EXISTS (SELECT FROM workrow.celery_commands AS sent WHERE sent.id = said.command_id)
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ),
    moves AS (
        DELETE FROM workrow.celery_bridge_moves
        WHERE key = ANY(ARRAY(
            SELECT key FROM workrow.celery_bridge_moves
            WHERE moved_at < clock_timestamp() - INTERVAL '30 days'
            ORDER BY moved_at
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ),
    shadows AS (
        DELETE FROM workrow.celery_bridge_shadows
        WHERE task_id = ANY(ARRAY(
            SELECT task_id FROM workrow.celery_bridge_shadows
            WHERE noted_at < clock_timestamp() - INTERVAL '30 days'
            ORDER BY noted_at
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM results) + (SELECT count(*) FROM groups)
        + (SELECT count(*) FROM revoked) + (SELECT count(*) FROM commands) + (SELECT count(*) FROM replies)
        + (SELECT count(*) FROM untold) + (SELECT count(*) FROM moves) + (SELECT count(*) FROM shadows)
$function$
;

CREATE OR REPLACE FUNCTION workrow.celery_replies_v1(command_id bigint)
 RETURNS TABLE(worker_id bigint, worker text, reply jsonb)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT said.worker_id, said.worker, said.reply
    FROM workrow.celery_replies AS said
    WHERE said.command_id = celery_replies_v1.command_id
    ORDER BY said.worker, said.worker_id
$function$
;

CREATE OR REPLACE FUNCTION workrow.celery_revoke_v1(ids text[], header text, vals jsonb, terminate boolean, exception jsonb, lasts double precision)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    job record;
    touched bigint := 0;
BEGIN
    IF header IS NULL THEN
        INSERT INTO workrow.celery_revoked (task_id) SELECT DISTINCT unnest(ids);
    ELSE
        INSERT INTO workrow.celery_revoked (header, value) SELECT celery_revoke_v1.header, jsonb_array_elements(vals);
    END IF;
    PERFORM pg_notify('workrow_celery', '') WHERE (
    pg_notification_queue_usage() < 0.75
    AND coalesce(current_setting('workrow.notify', true), '') <> 'off'
);
    PERFORM set_config('workrow.celery_revokes', 'on', true);
    FOR job IN
        SELECT own.id, own.status, own.args, own.queue_name, own.task_name
        FROM procrastinate_jobs AS own
        WHERE own.id = ANY(ARRAY(
            -- what waits has an index
            SELECT waiting.id
            FROM unnest(ids) AS wanted (task_id)
            INNER JOIN procrastinate_jobs AS waiting ON waiting.args ->> 'id' = wanted.task_id
            WHERE waiting.status = 'todo' AND jsonb_exists(waiting.args, 'root_id')
            UNION ALL
            SELECT running.id
            FROM procrastinate_jobs AS running
            WHERE terminate AND running.status = 'doing' AND running.args ->> 'id' = ANY(ids)
            UNION ALL
            SELECT stamped.id
            FROM procrastinate_jobs AS stamped
            WHERE
                celery_revoke_v1.header IS NOT NULL
                AND stamped.status IN ('todo', 'doing')
                AND EXISTS (
                    SELECT FROM jsonb_array_elements(
                        CASE jsonb_typeof(stamped.args -> 'stamps' -> celery_revoke_v1.header)
                            WHEN 'array' THEN stamped.args -> 'stamps' -> celery_revoke_v1.header
                            ELSE jsonb_build_array(stamped.args -> 'stamps' -> celery_revoke_v1.header)
                        END
                    ) AS stamp
                    INNER JOIN jsonb_array_elements(vals) AS wanted ON wanted.value = stamp.value
                )
        ))
        ORDER BY own.id
    LOOP
        IF job.status = 'doing' THEN
            IF terminate AND workrow.cancel_job_v1(job.id, true) IS NOT NULL THEN
                touched := touched + 1;
            END IF;
        ELSIF workrow.end_job_v1(job.id, ARRAY['todo']::procrastinate_job_status[], 'cancelled') IS NOT NULL THEN
            touched := touched + 1;
            PERFORM workrow.celery_revoked_v1(job.id, job.task_name, job.queue_name, job.args, exception, lasts);
        END IF;
    END LOOP;
    PERFORM set_config('workrow.celery_revokes', '', true);
    RETURN touched;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.celery_revoked_v1(job_id bigint, task_name text, queue_name text, args jsonb, exception jsonb, lasts double precision)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
BEGIN
    INSERT INTO workrow.celery_untold (job_id, task_name, queue_name, args)
    VALUES (
        celery_revoked_v1.job_id, celery_revoked_v1.task_name, celery_revoked_v1.queue_name, celery_revoked_v1.args
    )
    ON CONFLICT ON CONSTRAINT celery_untold_pkey DO NOTHING;
    PERFORM workrow.celery_write_v1(ARRAY[
        CASE
            WHEN coalesce(CAST(args ->> 'ignore_result' AS boolean), false) THEN '{}'
            ELSE jsonb_build_object('results', jsonb_build_array(jsonb_build_object(
                'task_id', args ->> 'id', 'state', 'REVOKED', 'value', exception, 'lasts', lasts
            )))
        END
        || CASE
            WHEN args ->> 'group' IS NULL OR jsonb_typeof(args -> 'chord') IS DISTINCT FROM 'object' THEN '{}'
            ELSE jsonb_build_object('parts', jsonb_build_array(jsonb_build_object(
                'group_id', args ->> 'group', 'position', args -> 'group_index',
                'task_id', args ->> 'id', 'state', 'REVOKED', 'value', exception,
                'body', args -> 'chord', 'queue', queue_name
            )))
        END
    ]);
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.celery_switch_v1(is_on boolean)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    INSERT INTO workrow.celery_bridge_switch (is_on)
    VALUES (celery_switch_v1.is_on)
    ON CONFLICT (one) DO UPDATE SET is_on = excluded.is_on, changed_at = excluded.changed_at
$function$
;

CREATE OR REPLACE FUNCTION workrow.celery_write_v1(effects jsonb[])
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    changed text[];
BEGIN
    IF EXISTS (SELECT FROM unnest(effects) AS effect WHERE effect ? 'calls') THEN
        INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args, scheduled_at, line, due_at, unique_key)
        SELECT
            call.queue, call.task, call.priority,
            CASE
                WHEN EXISTS (SELECT FROM workrow.celery_revoked AS known WHERE known.task_id = call.args ->> 'id')
                    THEN call.args || '{"revoked": true}'
                ELSE call.args
            END,
            CASE WHEN call.line IS NULL THEN call.due_at ELSE '9000-01-01 00:00:00+00' END,
            call.line,
            CASE WHEN call.line IS NOT NULL THEN call.due_at END,
            -- of the call that has just ended; were there two of its id, the first has it
            CASE
                WHEN call.args -> 'id' = effect.told -> 'held' -> 'id' THEN (
                    SELECT effect.told -> 'held' ->> 'key'
                    FROM jsonb_array_elements(effect.told -> 'calls') WITH ORDINALITY AS same (value, n)
                    WHERE same.value -> 'args' -> 'id' = call.args -> 'id'
                    HAVING min(same.n) = call.n
                )
            END
        FROM unnest(effects) WITH ORDINALITY AS effect (told, n)
        CROSS JOIN LATERAL (
            SELECT
                given.value ->> 'queue' AS queue,
                given.value ->> 'task' AS task,
                CAST(given.value ->> 'priority' AS integer) AS priority,
                given.value -> 'args' AS args,
                given.value ->> 'line' AS line,
                coalesce(
                    CAST(given.value ->> 'at' AS timestamptz),
                    statement_timestamp()
                    + CAST(given.value ->> 'delay' AS double precision) * INTERVAL '1 second'
                ) AS due_at,
                given.n
            FROM jsonb_array_elements(effect.told -> 'calls') WITH ORDINALITY AS given (value, n)
        ) AS call
        ORDER BY effect.n, call.n;
    END IF;

    IF EXISTS (SELECT FROM unnest(effects) AS effect WHERE effect ? 'results') THEN
        INSERT INTO workrow.celery_results AS known (
            task_id, state, value, traceback, children, details, expires_at
        )
        SELECT DISTINCT ON (result.task_id)
            result.task_id, result.state, nullif(result.value, 'null'), result.traceback,
            result.children, result.details, clock_timestamp() + result.lasts * INTERVAL '1 second'
        FROM unnest(effects) WITH ORDINALITY AS effect (told, n)
        CROSS JOIN LATERAL (
            SELECT
                given.value ->> 'task_id' AS task_id,
                given.value ->> 'state' AS state,
                given.value -> 'value' AS value,
                given.value ->> 'traceback' AS traceback,
                given.value -> 'children' AS children,
                given.value -> 'details' AS details,
                CAST(given.value ->> 'lasts' AS double precision) AS lasts,
                given.n
            FROM jsonb_array_elements(effect.told -> 'results') WITH ORDINALITY AS given (value, n)
        ) AS result
        ORDER BY result.task_id, effect.n DESC, result.n DESC
        ON CONFLICT (task_id) DO UPDATE
        SET
            state = excluded.state,
            value = excluded.value,
            traceback = excluded.traceback,
            children = excluded.children,
            details = excluded.details,
            noted_at = excluded.noted_at,
            expires_at = excluded.expires_at
        -- what has succeeded has succeeded, whatever else runs under its id
        WHERE known.state <> 'SUCCESS';
    END IF;

    IF EXISTS (SELECT FROM unnest(effects) AS effect WHERE effect ? 'groups') THEN
        INSERT INTO workrow.celery_groups (group_id, members, expires_at)
        SELECT DISTINCT ON (saved.group_id)
            saved.group_id, saved.members, clock_timestamp() + saved.lasts * INTERVAL '1 second'
        FROM unnest(effects) AS effect
        CROSS JOIN LATERAL jsonb_to_recordset(effect -> 'groups') AS saved (group_id text, members jsonb, lasts float8)
        ORDER BY saved.group_id
        ON CONFLICT (group_id) DO UPDATE SET members = excluded.members, expires_at = excluded.expires_at;
    END IF;

    IF NOT EXISTS (SELECT FROM unnest(effects) AS effect WHERE effect ?| ARRAY['sizes', 'grown', 'parts', 'sent']) THEN
        RETURN;
    END IF;
    changed := ARRAY(
        SELECT told.value ->> 'group_id'
        FROM unnest(effects) AS effect
        CROSS JOIN LATERAL (
            SELECT value FROM jsonb_array_elements(effect -> 'sizes')
            UNION ALL
            SELECT value FROM jsonb_array_elements(effect -> 'parts')
        ) AS told
    );
    UPDATE workrow.celery_chords
    SET size = size + grown.more
    FROM (
        SELECT told.value ->> 'group_id' AS group_id, count(*) AS more
        FROM unnest(effects) AS effect
        CROSS JOIN jsonb_array_elements(effect -> 'grown') AS told
        GROUP BY told.value ->> 'group_id'
    ) AS grown
    WHERE celery_chords.group_id = grown.group_id AND NOT fired;
    INSERT INTO workrow.celery_chords AS known (group_id, size, ended, body, last_part, queue_name)
    SELECT
        group_id,
        max(size),
        count(task_id),
        (array_agg(body ORDER BY n DESC, m DESC) FILTER (WHERE task_id IS NOT NULL))[1],
        (array_agg(last_part ORDER BY n DESC, m DESC) FILTER (WHERE task_id IS NOT NULL))[1],
        (array_agg(queue ORDER BY n DESC, m DESC) FILTER (WHERE task_id IS NOT NULL))[1]
    FROM unnest(effects) WITH ORDINALITY AS effect (told, n)
    CROSS JOIN LATERAL (
        SELECT
            given.value ->> 'group_id' AS group_id,
            CAST(given.value ->> 'size' AS integer) AS size,
            given.value ->> 'task_id' AS task_id,
            given.value -> 'body' AS body,
            given.value -> 'last_part' AS last_part,
            given.value ->> 'queue' AS queue,
            given.m
        FROM jsonb_array_elements(
            coalesce(effect.told -> 'sizes', '[]') || coalesce(effect.told -> 'parts', '[]')
        ) WITH ORDINALITY AS given (value, m)
    ) AS told
    GROUP BY group_id
    ORDER BY group_id
    ON CONFLICT (group_id) DO UPDATE
    SET
        size = coalesce(known.size, excluded.size),
        ended = known.ended + excluded.ended,
        body = coalesce(excluded.body, known.body),
        last_part = coalesce(excluded.last_part, known.last_part),
        queue_name = coalesce(excluded.queue_name, known.queue_name);
    INSERT INTO workrow.celery_parts (group_id, position, task_id, state, value)
    SELECT part.group_id, part.position, part.task_id, part.state, part.value
    FROM unnest(effects) AS effect
    CROSS JOIN LATERAL jsonb_to_recordset(effect -> 'parts') AS part (
        group_id text, position integer, task_id text, state text, value jsonb
    );
    WITH complete AS (
        UPDATE workrow.celery_chords
        SET fired = true
        WHERE group_id = ANY(changed) AND size = ended AND NOT fired
        RETURNING group_id, body, last_part, queue_name
    )
    INSERT INTO procrastinate_jobs (queue_name, task_name, args)
    SELECT
        queue_name, 'workrow.celery.join',
        jsonb_build_object(
            'id', 'join-' || group_id, 'args', jsonb_build_array(group_id, body, coalesce(last_part, '{}')),
            'kwargs', jsonb_build_object()
        )
    FROM complete;
    DELETE FROM workrow.celery_chords
    USING unnest(effects) AS effect
    WHERE celery_chords.group_id = effect ->> 'sent';
    DELETE FROM workrow.celery_parts
    USING unnest(effects) AS effect
    WHERE celery_parts.group_id = effect ->> 'sent';
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.change_waiting_v1(same procrastinate_jobs, rule jsonb, args jsonb, lines text[], places integer[], ids bigint[], lifetime interval)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    replaces boolean := rule ->> 'on_conflict' IN ('replace', 'debounce');
    moves boolean := rule ->> 'on_conflict' IN ('reschedule', 'debounce');
    wait interval := CAST(rule ->> 'wait' AS double precision) * INTERVAL '1 second';
    max_wait interval := CAST(rule ->> 'max_wait' AS double precision) * INTERVAL '1 second';
BEGIN
    UPDATE procrastinate_jobs AS job
    SET
        args = CASE WHEN replaces THEN newest.args ELSE job.args END,
        priority = CASE WHEN replaces THEN same.priority ELSE job.priority END,
        line = CASE WHEN replaces THEN newest.line ELSE job.line END,
        version = CASE WHEN replaces THEN same.version ELSE job.version END,
        scheduled_at = CASE WHEN moves AND job.line IS NULL AND job.held_at IS NULL THEN newest.at ELSE job.scheduled_at END,
        held_at = CASE WHEN moves AND job.held_at IS NOT NULL THEN coalesce(newest.at, '1970-01-01 00:00:00+00') ELSE job.held_at END,
        due_at = CASE
            WHEN moves AND job.line IS NOT NULL AND job.held_at IS NULL THEN coalesce(newest.at, clock_timestamp())
            -- ready, but in another line: a claim calls it there
            WHEN replaces AND newest.line <> job.line THEN coalesce(job.due_at, clock_timestamp())
            ELSE job.due_at
        END,
        staged_at = CASE WHEN moves THEN NULL ELSE job.staged_at END,
        expires_at = CASE
            WHEN lifetime IS NOT NULL THEN coalesce(newest.at, clock_timestamp()) + lifetime
            ELSE coalesce(same.expires_at, job.expires_at)
        END
    FROM (
        SELECT DISTINCT ON (old.id)
            old.id,
            change_waiting_v1.args -> (given.place - 1) AS args,
            -- arguments may be those of another limit's key; where only one of both has limits, it stays as it is
            CASE WHEN old.line IS NULL THEN NULL ELSE coalesce(lines[given.place], old.line) END AS line,
            CASE
                WHEN NOT moves AND old.held_at IS NOT NULL THEN nullif(old.held_at, '1970-01-01 00:00:00+00')
                WHEN NOT moves THEN CASE WHEN old.line IS NULL THEN old.scheduled_at ELSE old.due_at END
                WHEN wait IS NULL THEN same.scheduled_at
                ELSE least(clock_timestamp() + wait, old.created_at + max_wait)
            END AS at
        FROM unnest(places, ids) AS given (place, id)
        INNER JOIN procrastinate_jobs AS old ON old.id = given.id
        ORDER BY old.id, given.place DESC
    ) AS newest
    WHERE job.id = newest.id AND job.status = 'todo';
    IF moves AND wait IS NULL AND coalesce(same.scheduled_at <= now(), true) THEN
        PERFORM workrow.notify_queue_v1(same.queue_name, 'job_inserted', 0);
    END IF;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.check_owner_v1(role_name text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    owner CONSTANT oid := (SELECT relowner FROM pg_catalog.pg_class WHERE oid = CAST('workrow.history' AS regclass));
    tables CONSTANT oid := (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = CAST('procrastinate_jobs' AS regclass));
BEGIN
    IF NOT pg_has_role(owner, 'USAGE') THEN
        RAISE 'the role % does not own the tables: % grants and revokes', quote_ident(current_user), pg_get_userbyid(owner)
            USING ERRCODE = 'WR002';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = check_owner_v1.role_name) THEN
        RAISE 'there is no role %: make it first, with CREATE ROLE', quote_nullable(check_owner_v1.role_name)
            USING ERRCODE = 'WR002';
    END IF;
    IF check_owner_v1.role_name = pg_get_userbyid(owner) THEN
        RAISE 'the role % owns the tables, and may do everything: grant to another one', quote_ident(check_owner_v1.role_name)
            USING ERRCODE = 'WR002';
    END IF;
    -- it could put functions there that those with the owner's rights would call
    IF has_schema_privilege('public', tables, 'CREATE') THEN
        RAISE 'everybody may create in schema %, where the tables are, and what they put there would run with the owner''s rights when granted roles call our functions: REVOKE CREATE ON SCHEMA % FROM PUBLIC first',
            CAST(tables AS regnamespace), CAST(tables AS regnamespace)
            USING ERRCODE = 'WR002';
    END IF;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.choose_jobs_v1(picked text[], rooms workrow.limit_room[], how_many integer, OUT chosen bigint[], OUT left_over double precision[])
 RETURNS record
 LANGUAGE plpgsql
AS $function$
DECLARE
    locks text[] := '{}';
    share integer := greatest(1, ceil(2.0 * how_many / cardinality(picked)));
    candidate record;
    place integer;
    open boolean;
BEGIN
    chosen := '{}';
    left_over := ARRAY(SELECT each.room FROM unnest(rooms) AS each);
    FOR candidate IN
        SELECT job.id, job.lock, own.places
        FROM (
            SELECT
                line.line,
                line.turn,
                array_agg(CAST(named.place AS integer)) AS places,
                min(named.room) AS room,
                max(named.weight) AS weight
            FROM workrow.lines AS line
            CROSS JOIN unnest(line.buckets) AS bucket
            INNER JOIN unnest(rooms) WITH ORDINALITY AS named (bucket, room, weight, again_at, counted, tokens, asked_at, cell, place)
                ON named.bucket = bucket.bucket
            WHERE line.line = ANY(picked)
            GROUP BY line.line
        ) AS own
        CROSS JOIN LATERAL (
            SELECT waiting.id, waiting.lock, waiting.priority, row_number() OVER () AS n
            FROM (
                SELECT first.id, first.lock, first.priority
                FROM procrastinate_jobs AS first
                WHERE first.status = 'todo' AND first.line = own.line AND first.due_at IS NULL
                    AND (first.lock IS NULL OR NOT EXISTS (
                        SELECT
                        FROM procrastinate_jobs AS holder
                        WHERE holder.status = 'doing' AND holder.lock = first.lock
                    ))
                ORDER BY first.priority DESC, coalesce(first.staged_at, first.created_at), first.id
                LIMIT least(own.room, ceil(share * own.weight), how_many)
            ) AS waiting
        ) AS job
        ORDER BY job.priority DESC, own.turn + job.n / own.weight, job.id
    LOOP
        EXIT WHEN cardinality(chosen) >= how_many;
        open := true;
        FOREACH place IN ARRAY candidate.places LOOP
            open := open AND left_over[place] >= 1;
        END LOOP;
        CONTINUE WHEN NOT open;
        IF candidate.lock IS NOT NULL THEN
            CONTINUE WHEN candidate.lock = ANY(locks);
            locks := locks || candidate.lock;
        END IF;
        FOREACH place IN ARRAY candidate.places LOOP
            left_over[place] := left_over[place] - 1;
        END LOOP;
        chosen := chosen || candidate.id;
    END LOOP;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.claim_limited_v1(owner bigint, tasks text[], queues text[], how_many integer, paused text[] DEFAULT '{}'::text[])
 RETURNS TABLE(look_in double precision, id bigint, queue_name character varying, task_name character varying, priority integer, lock text, queueing_lock text, args jsonb, scheduled_at timestamp with time zone, attempts integer, claims integer, crashes integer, expires_in double precision, version smallint)
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
DECLARE
    picked text[];
    names text[];
    held text[];
    is_held boolean := false;
    aside text[];
    rooms workrow.limit_room[];
    left_over double precision[];
    chosen bigint[];
    passed bigint[];
    ids bigint[] := '{}';
    served text[];
    soon double precision;
    lines_most integer := least(how_many, greatest(50, how_many / 2), 200);
BEGIN
    picked := ARRAY(
        SELECT ready.line
        FROM workrow.lines AS ready
        WHERE
            ready.blocked_on IS NULL
            AND ready.wake_at IS NULL
            AND ready.task_name = ANY(tasks)
            AND (queues IS NULL OR ready.queue_name = ANY(queues))
            AND ready.queue_name <> ALL(paused)
        ORDER BY ready.priority DESC, ready.turn
        -- few lines with several jobs each cost less than many with one
        LIMIT lines_most
        FOR UPDATE SKIP LOCKED
    );
    IF picked <> '{}' THEN
        names := ARRAY(
            SELECT DISTINCT bucket
            FROM workrow.lines AS line, unnest(line.buckets) AS bucket
            WHERE line.line = ANY(picked)
            ORDER BY bucket
        );
        LOOP
            BEGIN
                INSERT INTO workrow.limit_buckets (bucket, name, key)
                SELECT bucket, split_part(bucket, '=', 1), substr(bucket, length(split_part(bucket, '=', 1)) + 2)
                FROM unnest(names) AS bucket
                WHERE NOT EXISTS (SELECT FROM workrow.limit_buckets AS known WHERE known.bucket = bucket.bucket)
                ORDER BY bucket
                ON CONFLICT (bucket) DO NOTHING;
            EXCEPTION WHEN lock_not_available THEN
                is_held := true;
            END;
            BEGIN
                -- in the order of their names, so that no two claims wait for each other
                held := ARRAY(
                    SELECT bucket FROM workrow.limit_buckets WHERE bucket = ANY(names) ORDER BY bucket FOR UPDATE
                );
            EXCEPTION WHEN lock_not_available THEN
                is_held := true;
                held := ARRAY(SELECT bucket FROM workrow.limit_buckets WHERE bucket = ANY(names) FOR UPDATE SKIP LOCKED);
            END;
            IF is_held THEN
                -- nothing is blocked on a bucket that is not held: these ask again when their time has come
                aside := ARRAY(SELECT line FROM workrow.lines WHERE line = ANY(picked) AND NOT buckets <@ held);
                UPDATE workrow.lines SET wake_at = clock_timestamp() + INTERVAL '1 second' WHERE line = ANY(aside);
                picked := ARRAY(SELECT line FROM unnest(picked) AS line WHERE line <> ALL(aside));
                names := held;
            END IF;
            -- fewer, when one was pruned in this moment
            EXIT WHEN cardinality(held) = cardinality(names);
        END LOOP;
    END IF;
    IF picked <> '{}' THEN
        -- If the clock was set back: what was admitted last was so now, and all before as much earlier. Cells count from 1970.
        UPDATE workrow.limit_buckets AS known
        SET
            refilled_at = clock_timestamp(),
            cells = ARRAY(
                SELECT old.number - CAST(floor(
                    known.cells[cardinality(known.cells)]
                    * (1 - extract(EPOCH FROM clock_timestamp()) / extract(EPOCH FROM known.refilled_at))
                ) AS bigint)
                FROM unnest(known.cells) WITH ORDINALITY AS old (number, place)
                ORDER BY old.place
            )
        WHERE known.bucket = ANY(names) AND known.refilled_at > clock_timestamp();
        rooms := ARRAY(SELECT known FROM workrow.limit_rooms_v1(names) AS known);
        SELECT choice.chosen, choice.left_over INTO chosen, left_over
        FROM workrow.choose_jobs_v1(picked, rooms, how_many) AS choice;
        aside := '{}';
        BEGIN
            SELECT coalesce(taken.ids, '{}'), coalesce(taken.lines, '{}') INTO ids, served
            FROM workrow.take_jobs_v1(owner, chosen, rooms) AS taken;
        EXCEPTION WHEN lock_not_available THEN
            passed := workrow.held_locks_v1(chosen);
            aside := ARRAY(SELECT DISTINCT job.line FROM procrastinate_jobs AS job WHERE job.id = ANY(passed));
            chosen := ARRAY(SELECT job FROM unnest(chosen) AS job WHERE job <> ALL(passed));
            SELECT coalesce(taken.ids, '{}'), coalesce(taken.lines, '{}') INTO ids, served
            FROM workrow.take_jobs_v1(owner, chosen, rooms) AS taken;
        END;
        IF aside <> '{}' OR cardinality(ids) < cardinality(chosen)
            OR EXISTS (SELECT FROM unnest(rooms) AS each WHERE each.tokens IS NOT NULL)
        THEN
            -- some were cancelled meanwhile, or their locks are held, or the next token's time is asked for
            rooms := ARRAY(SELECT known FROM workrow.limit_rooms_v1(names) AS known);
            left_over := ARRAY(SELECT each.room FROM unnest(rooms) AS each);
        END IF;
        PERFORM workrow.settle_lines_v1(picked, rooms, left_over, served, how_many, cardinality(picked) >= greatest(lines_most, 50));
        IF aside <> '{}' THEN
            UPDATE workrow.lines
            SET blocked_on = NULL, wake_at = clock_timestamp() + INTERVAL '1 second'
            WHERE line = ANY(aside);
        END IF;
    END IF;
    SELECT CASE
        WHEN EXISTS (
            SELECT
            FROM workrow.lines AS ready
            WHERE
                ready.blocked_on IS NULL
                AND ready.wake_at IS NULL
                AND ready.task_name = ANY(tasks)
                AND (queues IS NULL OR ready.queue_name = ANY(queues))
                AND ready.queue_name <> ALL(paused)
        ) OR EXISTS (SELECT FROM workrow.line_arrivals) OR EXISTS (SELECT FROM workrow.limit_calls) THEN 0
        ELSE extract(EPOCH FROM least(
            (SELECT min(waiting.wake_at) FROM workrow.lines AS waiting WHERE waiting.wake_at IS NOT NULL),
            (
                SELECT min(job.due_at)
                FROM procrastinate_jobs AS job
                WHERE job.status = 'todo' AND job.line IS NOT NULL AND job.due_at IS NOT NULL
            )
        )) - extract(EPOCH FROM clock_timestamp())
    END INTO soon;
    RETURN QUERY
    SELECT
        soon, job.id, job.queue_name, job.task_name, job.priority, job.lock, job.queueing_lock, job.args,
        job.scheduled_at, job.attempts, job.claims, job.crashes,
        CAST(extract(EPOCH FROM job.expires_at) - extract(EPOCH FROM clock_timestamp()) AS double precision), job.version
    FROM (SELECT) AS always
    LEFT JOIN procrastinate_jobs AS job ON job.id = ANY(ids)
    ORDER BY job.priority DESC, job.id;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.compensate_v1(in_flow bigint)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
DECLARE
    first integer;
BEGIN
    UPDATE workrow.flow_nodes AS undo
    SET state = 'skipped'
    FROM workrow.flow_nodes AS done
    WHERE
        undo.flow_id = in_flow AND undo.fires = 'undo' AND undo.state = 'waiting'
        AND done.flow_id = in_flow AND done.number = undo.parents[1] AND done.state <> 'succeeded';
    WITH turn AS (
        SELECT
            undo.number,
            lead(undo.number) OVER (ORDER BY done.ended_at DESC, done.number DESC) AS next,
            row_number() OVER (ORDER BY done.ended_at DESC, done.number DESC) AS place
        FROM workrow.flow_nodes AS undo
        INNER JOIN workrow.flow_nodes AS done ON done.flow_id = undo.flow_id AND done.number = undo.parents[1]
        WHERE undo.flow_id = in_flow AND undo.fires = 'undo' AND undo.state = 'waiting'
    ),
    ordered AS (
        UPDATE workrow.flow_nodes AS undo
        SET dependents = CASE WHEN turn.next IS NOT NULL THEN ARRAY[turn.next] END
        FROM turn
        WHERE undo.flow_id = in_flow AND undo.number = turn.number
        RETURNING CASE WHEN turn.place = 1 THEN turn.number END AS number
    )
    SELECT max(ordered.number) INTO first FROM ordered;
    IF first IS NULL THEN
        RETURN false;
    END IF;
    PERFORM workrow.advance_nodes_v1(ARRAY[in_flow], ARRAY[first], ARRAY[1]);
    RETURN true;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.crash_job_v1(job_id bigint, counted boolean, max_crashes integer, cause text)
 RETURNS text
 LANGUAGE plpgsql
AS $function$
DECLARE
    job procrastinate_jobs;
    entry jsonb;
BEGIN
    UPDATE procrastinate_jobs
    SET crashes = least(crashes, 2147483646) + CAST(counted AS integer)
    WHERE id = job_id
    RETURNING * INTO job;
    entry := jsonb_build_object(
        'attempt', CAST(job.attempts AS bigint) + 1,
        'at', clock_timestamp(),
        'type', 'workrow.Crashed',
        'message', cause,
        'traceback', NULL,
        'discarded', false
    );
    IF job.abort_requested THEN
        PERFORM workrow.end_job_v2(job_id, ARRAY['doing']::procrastinate_job_status[], 'aborted', entry, NULL);
        RETURN 'aborted';
    END IF;
    IF job.crashes >= max_crashes THEN
        PERFORM workrow.end_job_v2(
            job_id, ARRAY['doing']::procrastinate_job_status[], 'failed', entry,
            format('crashed %s times, the last time: %s', job.crashes, cause)
        );
        RETURN 'quarantined';
    END IF;
    UPDATE procrastinate_jobs
    SET
        status = 'todo',
        worker_id = NULL,
        errors = workrow.with_error_v1(errors, entry),
        scheduled_at = CASE WHEN line IS NULL AND held_at IS NULL THEN scheduled_at ELSE '9000-01-01 00:00:00+00' END,
        due_at = CASE WHEN line IS NULL THEN NULL WHEN held_at IS NULL THEN clock_timestamp() ELSE '9000-01-01 00:00:00+00' END
    WHERE id = job_id;
    RETURN 'queued';
EXCEPTION WHEN unique_violation THEN
    PERFORM workrow.supersede_job_v1(job_id);
    RETURN 'superseded';
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.crash_job_v2(job_id bigint, counted boolean, max_crashes integer, cause text, pause double precision)
 RETURNS text
 LANGUAGE plpgsql
AS $function$
DECLARE
    verdict text := workrow.crash_job_v1(job_id, counted, max_crashes, cause);
    start CONSTANT timestamptz := clock_timestamp() + pause * INTERVAL '1 second';
BEGIN
    IF verdict = 'queued' AND pause > 0 THEN
        UPDATE procrastinate_jobs
        SET
            -- one of a workflow that is held waits for that
            scheduled_at = CASE WHEN line IS NULL AND held_at IS NULL THEN start ELSE scheduled_at END,
            due_at = CASE WHEN line IS NOT NULL AND held_at IS NULL THEN start ELSE due_at END,
            held_at = CASE WHEN held_at IS NOT NULL THEN start END,
            staged_at = NULL
        WHERE id = job_id;
    END IF;
    RETURN verdict;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.declare_limit_v1(limit_name text, running integer, count integer, seconds double precision, burst integer)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
BEGIN
    INSERT INTO workrow.limit_rules AS known (name, source, max_running, rate_count, rate_seconds, rate_burst)
    VALUES (limit_name, 'declared', running, count, seconds, burst)
    ON CONFLICT (name, key, source) DO UPDATE
    SET
        max_running = excluded.max_running,
        rate_count = excluded.rate_count,
        rate_seconds = excluded.rate_seconds,
        rate_burst = excluded.rate_burst,
        changed_at = now()
    WHERE
        (known.max_running, known.rate_count, known.rate_seconds, known.rate_burst)
        IS DISTINCT FROM (excluded.max_running, excluded.rate_count, excluded.rate_seconds, excluded.rate_burst);
    IF FOUND THEN
        PERFORM workrow.call_limit_v1(limit_name);
    END IF;
    RETURN FOUND;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.delete_schedule_v1(schedule text)
 RETURNS boolean
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    WITH deleted AS (
        DELETE FROM workrow.timetable AS known
        WHERE
            name = schedule
            AND (
                dynamic
                OR declared_at IS NULL
                OR declared_at < now() - INTERVAL '5 minutes'
                OR (
                    declared_at < now() - INTERVAL '90 seconds'
                    AND NOT EXISTS (
                        SELECT 1
                        FROM workrow.worker_details AS worker
                        WHERE worker.started_at <= known.declared_at
                    )
                )
            )
        RETURNING name
    )
    SELECT EXISTS (SELECT FROM deleted)
$function$
;

CREATE OR REPLACE FUNCTION workrow.end_batch_v1(in_flow bigint, raised boolean)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    IF NOT raised THEN
        PERFORM FROM workrow.flows AS flow WHERE flow.id = in_flow FOR NO KEY UPDATE;
        PERFORM workrow.settle_workflows_v1(ARRAY[in_flow]);
    ELSIF EXISTS (SELECT FROM workrow.flows AS flow WHERE flow.id = in_flow AND flow.created_at = now()) THEN
        DELETE FROM procrastinate_jobs AS job
        USING workrow.flow_nodes AS node
        WHERE node.flow_id = in_flow AND job.id = node.job_id;
        DELETE FROM workrow.flow_nodes WHERE flow_id = in_flow;
        DELETE FROM workrow.flows WHERE id = in_flow;
    END IF;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.end_call_v1()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    call workrow.job_steps;
    why CONSTANT jsonb := NEW.errors -> -1;
BEGIN
    UPDATE workrow.job_steps
    SET
        ended_at = clock_timestamp(),
        result = NEW.result,
        error = CASE
            WHEN NEW.status <> 'succeeded' OR NEW.result IS NULL AND why ->> 'type' = 'workrow.ResultNotKept'
                THEN jsonb_build_object(
                    'status', NEW.status, 'task', NEW.task_name, 'attempts', NEW.attempts,
                    'type', why ->> 'type', 'message', why ->> 'message', 'traceback', why ->> 'traceback'
                )
        END
    WHERE child_id = NEW.id AND ended_at IS NULL
    RETURNING * INTO call;
    IF FOUND AND NOT workrow.wake_job_v1(call.job_id, call.token) THEN
        UPDATE workrow.job_steps SET unwoken = true WHERE job_id = call.job_id AND name = call.name;
    END IF;
    RETURN NULL;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.end_job_v1(job_id bigint, from_statuses procrastinate_job_status[], end_status procrastinate_job_status)
 RETURNS bigint
 LANGUAGE sql
AS $function$
    SELECT workrow.end_job_v2(job_id, from_statuses, end_status, NULL, NULL)
$function$
;

CREATE OR REPLACE FUNCTION workrow.end_job_v2(job_id bigint, from_statuses procrastinate_job_status[], end_status procrastinate_job_status, error jsonb, cause text)
 RETURNS bigint
 LANGUAGE sql
AS $function$
    WITH ended AS (
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status = ANY(from_statuses)
        RETURNING *
    ),
    noted AS MATERIALIZED (
        SELECT workrow.note_queues_v1(ARRAY(SELECT ended.queue_name FROM ended)) AS new_ones
    ),
    told AS MATERIALIZED (
        SELECT
            CASE
                WHEN count(*) > 0 THEN CAST(workrow.end_nodes_v1(
                    array_agg(ended.workflow_id), array_agg(ended.workflow_node), array_agg(CAST(end_status AS text)),
                    array_agg(CAST(ended.result AS text)),
                    array_agg(coalesce(
                        CAST(error AS text),
                        -- our workers end no job that succeeded in this way
                        CASE
                            WHEN end_status = 'succeeded' AND ended.result IS NULL
                                THEN '{"type": "workrow.StockWorker", "message": "a stock procrastinate worker ran it, which keeps no result"}'
                            ELSE CAST(ended.errors -> -1 AS text)
                        END
                    ))
                ) AS text)
            END AS done
        FROM ended
        WHERE ended.workflow_id IS NOT NULL
    )
    INSERT INTO workrow.history (
        id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id,
        worker, created_at, started_at, finished_at, result, errors, claims, crashes, quarantine,
        version, unique_key, expires_at, progress, line, workflow_id, workflow_node
    )
    SELECT
        id, queue_name, task_name, priority, lock, queueing_lock, args, end_status, scheduled_at,
        least(attempts, 2147483646)
        + CASE WHEN status = 'doing' AND end_status <> 'cancelled' AND cause IS NULL THEN 1 ELSE 0 END,
        worker_id,
        worker, created_at, started_at, clock_timestamp(), result,
        workrow.with_error_v1(errors, error), claims, crashes, cause,
        version, unique_key, expires_at, progress, line, workflow_id, workflow_node
    FROM ended
    CROSS JOIN noted
    CROSS JOIN told
    RETURNING id
$function$
;

CREATE OR REPLACE FUNCTION workrow.end_nodes_v1(flow_ids bigint[], numbers integer[], statuses text[], results text[], errors text[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    flow bigint;
BEGIN
    PERFORM workrow.unblock_nodes_v1(flow_ids, numbers, statuses, results, errors);
EXCEPTION WHEN OTHERS THEN
    IF workrow.is_passing_v1(SQLSTATE) THEN
        RAISE;
    END IF;
    IF flow_ids[1] = ALL(flow_ids) THEN
        PERFORM workrow.break_workflow_v1(flow_ids[1], numbers, SQLERRM);
        RETURN;
    END IF;
    FOR flow IN SELECT DISTINCT each.id FROM unnest(flow_ids) AS each (id) ORDER BY each.id LOOP
        PERFORM workrow.end_nodes_v1(
            array_agg(given.flow_id), array_agg(given.number), array_agg(given.status), array_agg(given.result), array_agg(given.error)
        )
        FROM unnest(flow_ids, numbers, statuses, results, errors) AS given (flow_id, number, status, result, error)
        WHERE given.flow_id = flow;
    END LOOP;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.enqueue_once_v1(job jsonb, rule jsonb, args jsonb, keys text[], lines text[] DEFAULT '{}'::text[])
 RETURNS TABLE(place integer, job_id bigint, verdict text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_variable
DECLARE
    same procrastinate_jobs := jsonb_populate_record(CAST(NULL AS procrastinate_jobs), job);
    lifetime interval := CAST(job ->> 'lifetime' AS double precision) * INTERVAL '1 second';
    kind text := coalesce(rule ->> 'kind', 'none');
    conflict text := coalesce(rule ->> 'on_conflict', 'skip');
    changes boolean := conflict IN ('replace', 'reschedule', 'debounce');
    within boolean := rule ->> 'within' IS NOT NULL;
    total integer := jsonb_array_length(args);
    pending integer[];
    new_places integer[] := '{}';
    new_ids bigint[] := '{}';
    old_places integer[] := '{}';
    old_ids bigint[] := '{}';
    places integer[];
    ids bigint[];
    late bigint[];
BEGIN
    IF kind = 'throttle' THEN
        pending := workrow.admit_v1(rule, keys);
    END IF;
    -- again only where the job that held a key ended between two statements
    FOR _ IN 1..100 LOOP
        IF within THEN
            SELECT found.places, found.ids INTO places, ids FROM workrow.find_finished_v1(rule, keys, pending) AS found;
            old_places := old_places || places;
            old_ids := old_ids || ids;
            pending := workrow.others_v1(total, old_places || new_places);
        END IF;
        SELECT array_agg(done.place), array_agg(done.id) INTO places, ids
        FROM workrow.insert_once_v1(same, rule, args, keys, lines, pending, lifetime) AS done;
        IF within AND places IS NOT NULL THEN
            -- one may have ended since we looked
            SELECT
                array_agg(fresh.place) FILTER (WHERE ended.id IS NULL),
                array_agg(fresh.id) FILTER (WHERE ended.id IS NULL),
                array_agg(fresh.id) FILTER (WHERE ended.id IS NOT NULL),
                old_places || array_agg(fresh.place) FILTER (WHERE ended.id IS NOT NULL),
                old_ids || array_agg(ended.id) FILTER (WHERE ended.id IS NOT NULL)
            INTO places, ids, late, old_places, old_ids
            FROM unnest(places, ids) AS fresh (place, id)
            LEFT JOIN (
                SELECT past.place, past.id
                FROM workrow.find_finished_v1(rule, keys, places) AS found,
                    unnest(found.places, found.ids) AS past (place, id)
            ) AS ended ON ended.place = fresh.place;
            DELETE FROM procrastinate_jobs WHERE id = ANY(late);
        END IF;
        new_places := new_places || places;
        new_ids := new_ids || ids;
        EXIT WHEN cardinality(new_places) + cardinality(old_places) = total OR kind IN ('none', 'throttle');
        pending := workrow.others_v1(total, old_places || new_places);
        SELECT found.places, found.ids INTO places, ids
        FROM workrow.find_live_v1(rule, keys, pending, changes) AS found;
        old_places := old_places || places;
        old_ids := old_ids || ids;
        EXIT WHEN cardinality(new_places) + cardinality(old_places) = total;
        pending := workrow.others_v1(total, old_places || new_places);
    END LOOP;

    verdict := CASE
        WHEN kind = 'none' AND cardinality(new_places) < total THEN 'locked'
        WHEN kind <> 'throttle' AND cardinality(new_places) + cardinality(old_places) < total THEN 'busy'
        WHEN conflict = 'raise' AND cardinality(new_places) < total THEN 'conflict'
        WHEN cardinality(new_places) > 0 AND workrow.queue_is_full_v1(same.queue_name, 0) THEN 'full'
    END;
    IF verdict IS NOT NULL THEN
        DELETE FROM procrastinate_jobs WHERE id = ANY(new_ids);
        RETURN QUERY SELECT coalesce(old_places[1], 0), old_ids[1], verdict;
        RETURN;
    END IF;
    IF kind = 'throttle' THEN
        PERFORM workrow.admitted_v1(rule, keys, new_places, new_ids);
        SELECT coalesce(found.places, '{}'), coalesce(found.ids, '{}') INTO old_places, old_ids
        FROM workrow.find_throttled_v1(keys, new_places) AS found;
    ELSIF changes AND cardinality(old_places) > 0 THEN
        PERFORM workrow.change_waiting_v1(same, rule, args, lines, old_places, old_ids, lifetime);
    END IF;
    RETURN QUERY
    SELECT fresh.place, fresh.id, 'created' FROM unnest(new_places, new_ids) AS fresh (place, id)
    UNION ALL
    SELECT known.place, known.id, 'found' FROM unnest(old_places, old_ids) AS known (place, id);
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.expiry_v1(expires_at timestamp with time zone, attempts integer)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
    SELECT jsonb_build_object(
        'attempt', attempts,
        'at', clock_timestamp(),
        'type', 'workrow.Expired',
        'message', format('not started by %s', expires_at),
        'traceback', NULL,
        'discarded', true
    )
$function$
;

CREATE OR REPLACE FUNCTION workrow.extend_history_v1(days integer DEFAULT 3)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET lock_timeout TO '100ms'
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    day_start timestamptz;
    day_end timestamptz;
    partition text;
    move text;
    made integer := 0;
BEGIN
    FOR ahead IN 0 .. days LOOP
        day_start := date_trunc('day', now(), 'UTC') + ahead * INTERVAL '24 hours';
        day_end := day_start + INTERVAL '24 hours';
        partition := 'history_' || to_char(day_start AT TIME ZONE 'UTC', 'YYYYMMDD');
        CONTINUE WHEN to_regclass('workrow.' || partition) IS NOT NULL;
        BEGIN
            -- "history" in ASCII; two workers at the same time: one of them makes it
            EXIT WHEN NOT pg_try_advisory_xact_lock(29401342462554745);
            CONTINUE WHEN to_regclass('workrow.' || partition) IS NOT NULL;
            EXECUTE format('CREATE TABLE workrow.%I (LIKE workrow.history INCLUDING ALL)', partition);
            move := format(
                'WITH late AS ('
                'DELETE FROM workrow.history_default WHERE finished_at >= %L AND finished_at < %L RETURNING *'
                ') INSERT INTO workrow.%I SELECT * FROM late',
                day_start, day_end, partition
            );
            -- most of it while others go on; the rest, with what they have written meanwhile, while nobody writes there
            EXECUTE move;
            LOCK TABLE workrow.history_default IN ACCESS EXCLUSIVE MODE;
            EXECUTE move;
            EXECUTE format(
                'ALTER TABLE workrow.history ATTACH PARTITION workrow.%I FOR VALUES FROM (%L) TO (%L)',
                partition, day_start, day_end
            );
            made := made + 1;
        EXCEPTION
            -- the last is another worker's, whose commit to_regclass() has not heard of yet
            WHEN lock_not_available OR deadlock_detected OR check_violation OR duplicate_table THEN
                EXIT;
        END;
    END LOOP;
    RETURN made;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.failure_of_node_v1(node workrow.flow_nodes)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
    SELECT jsonb_build_object(
        'job_id', coalesce(node.job_id, 0),
        'task', coalesce(node.spec ->> 'task', node.kind),
        'queue', coalesce(node.spec ->> 'queue', ''),
        'args', CAST('{}' AS jsonb),
        'status', node.state,
        'reason', CASE
            WHEN node.error ->> 'type' = 'workrow.Expired' THEN 'expired'
            WHEN node.error ->> 'type' = 'workrow.Crashed' THEN 'crashed'
            WHEN CAST(node.error ->> 'discarded' AS boolean) THEN 'discarded'
            ELSE 'failed'
        END,
        'error_type', node.error ->> 'type',
        'error_message', node.error ->> 'message',
        'traceback', node.error ->> 'traceback',
        'attempts', coalesce(CAST(node.error ->> 'attempt' AS integer), 0),
        'crashes', 0,
        'failed_at', coalesce(node.ended_at, clock_timestamp())
    )
$function$
;

CREATE OR REPLACE FUNCTION workrow.find_finished_v1(rule jsonb, keys text[], wanted integer[], OUT places integer[], OUT ids bigint[])
 RETURNS record
 LANGUAGE plpgsql
AS $function$
DECLARE
    span interval := CAST(rule ->> 'within' AS double precision) * INTERVAL '1 second';
    since timestamptz := clock_timestamp() - span;
    ends procrastinate_job_status[] := ARRAY(
        SELECT CAST(state AS procrastinate_job_status) FROM jsonb_array_elements_text(rule -> 'states') AS each (state)
    );
BEGIN
    SELECT array_agg(CAST(given.place AS integer)), array_agg(past.id) INTO places, ids
    FROM unnest(keys) WITH ORDINALITY AS given (key, place)
    CROSS JOIN LATERAL (
        SELECT history.id
        FROM workrow.history
        WHERE
            history.unique_key = given.key
            AND history.created_at > since
            -- later ones are of before the clock was set back
            AND history.created_at < clock_timestamp() + span
            AND history.finished_at > since
            AND history.status = ANY(ends)
        ORDER BY history.created_at DESC
        LIMIT 1
    ) AS past
    WHERE wanted IS NULL OR given.place = ANY(wanted);
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.find_live_v1(rule jsonb, keys text[], wanted integer[], lock boolean, OUT places integer[], OUT ids bigint[])
 RETURNS record
 LANGUAGE plpgsql
AS $function$
DECLARE
    given_keys text[];
    given_places integer[];
BEGIN
    SELECT array_agg(given.key), array_agg(given.place) INTO given_keys, given_places
    FROM unnest(keys) WITH ORDINALITY AS given (key, place)
    WHERE given.place = ANY(wanted);
    IF rule ->> 'kind' = 'waiting' THEN
        PERFORM workrow.end_job_v2(
            job.id, ARRAY['todo']::procrastinate_job_status[], 'cancelled', workrow.expiry_v1(job.expires_at, job.attempts), NULL
        )
        FROM unnest(given_keys) AS given (key)
        INNER JOIN procrastinate_jobs AS job ON job.queueing_lock = 'unique:' || given.key AND job.status = 'todo'
        WHERE job.expires_at <= clock_timestamp();
        IF lock THEN
            PERFORM job.id
            FROM unnest(given_keys) AS given (key)
            INNER JOIN procrastinate_jobs AS job ON job.queueing_lock = 'unique:' || given.key AND job.status = 'todo'
            ORDER BY job.queueing_lock COLLATE "C"
            FOR UPDATE OF job;
        END IF;
        SELECT array_agg(given.place), array_agg(job.id) INTO places, ids
        FROM unnest(given_keys, given_places) AS given (key, place)
        INNER JOIN procrastinate_jobs AS job ON job.queueing_lock = 'unique:' || given.key AND job.status = 'todo';
    ELSE
        PERFORM workrow.end_job_v2(
            job.id, ARRAY['todo']::procrastinate_job_status[], 'cancelled', workrow.expiry_v1(job.expires_at, job.attempts), NULL
        )
        FROM unnest(given_keys) AS given (key)
        INNER JOIN procrastinate_jobs AS job ON job.unique_key = given.key AND job.status = 'todo'
        WHERE job.expires_at <= clock_timestamp();
        IF lock THEN
            PERFORM job.id
            FROM unnest(given_keys) AS given (key)
            INNER JOIN procrastinate_jobs AS job ON job.unique_key = given.key AND job.status IN ('todo', 'doing')
            ORDER BY job.unique_key COLLATE "C"
            FOR UPDATE OF job;
        END IF;
        SELECT array_agg(given.place), array_agg(job.id) INTO places, ids
        FROM unnest(given_keys, given_places) AS given (key, place)
        INNER JOIN procrastinate_jobs AS job ON job.unique_key = given.key AND job.status IN ('todo', 'doing');
    END IF;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.find_throttled_v1(keys text[], admitted integer[], OUT places integer[], OUT ids bigint[])
 RETURNS record
 LANGUAGE sql
 STABLE
AS $function$
    SELECT array_agg(CAST(given.place AS integer)), array_agg(known.job_id)
    FROM unnest(keys) WITH ORDINALITY AS given (key, place)
    INNER JOIN workrow.throttles AS known ON known.key = given.key
    WHERE given.place <> ALL(admitted)
$function$
;

CREATE OR REPLACE FUNCTION workrow.free_nodes_v1(in_flow bigint, tries integer)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    queue text;
BEGIN
    FOR try IN 1..tries LOOP
        EXIT WHEN NOT EXISTS (
            SELECT
            FROM workrow.flow_nodes AS node
            INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
            WHERE
                node.flow_id = in_flow AND node.state = 'enqueued'
                AND job.status IN ('todo', 'doing') AND job.held_at IS NOT NULL
        );
        PERFORM pg_sleep(0.005) WHERE try > 1;
        FOR queue IN
            WITH held AS (
                SELECT job.id
                FROM workrow.flow_nodes AS node
                INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
                WHERE
                    node.flow_id = in_flow AND node.state = 'enqueued'
                    AND job.status IN ('todo', 'doing') AND job.held_at IS NOT NULL
                FOR NO KEY UPDATE OF job SKIP LOCKED
            ),
            freed AS (
                UPDATE procrastinate_jobs AS job
                SET
                    held_at = NULL,
                    scheduled_at = CASE
                        WHEN job.status = 'doing' THEN job.scheduled_at
                        WHEN job.line IS NULL THEN nullif(job.held_at, '1970-01-01 00:00:00+00')
                        ELSE '9000-01-01 00:00:00+00'
                    END,
                    due_at = CASE
                        WHEN job.status = 'doing' THEN job.due_at
                        WHEN job.line IS NOT NULL THEN coalesce(nullif(job.held_at, '1970-01-01 00:00:00+00'), clock_timestamp())
                    END,
                    staged_at = CASE WHEN job.status = 'doing' THEN job.staged_at END
                FROM held
                WHERE job.id = held.id
                RETURNING job.queue_name, job.status
            )
            SELECT DISTINCT freed.queue_name FROM freed WHERE freed.status = 'todo'
        LOOP
            PERFORM workrow.notify_queue_v1(queue, 'job_inserted', 0);
        END LOOP;
    END LOOP;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.grant_v1(role_name text, kind text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    needed record;
BEGIN
    IF grant_v1.kind IS NULL OR grant_v1.kind NOT IN ('producer', 'worker', 'operator', 'viewer') THEN
        RAISE 'there is no kind % of role: give producer, worker, operator or viewer', quote_nullable(grant_v1.kind)
            USING ERRCODE = 'WR002';
    END IF;
    PERFORM workrow.check_owner_v1(grant_v1.role_name);
    INSERT INTO workrow.granted_roles (role_name, kind) VALUES (grant_v1.role_name, grant_v1.kind) ON CONFLICT DO NOTHING;
    FOR needed IN SELECT * FROM workrow.privileges_v1(grant_v1.kind) LOOP
        -- the schema of the tables may be another's, and everybody's to look into, as public is
        CONTINUE WHEN needed.object_type = 'SCHEMA' AND NOT pg_has_role(
            (SELECT nspowner FROM pg_catalog.pg_namespace WHERE oid = CAST(needed.object AS regnamespace)), 'USAGE'
        );
        EXECUTE format(
            'GRANT %s %s ON %s %s TO %I',
            needed.privilege,
            '(' || (SELECT string_agg(quote_ident(name), ', ') FROM unnest(needed.columns) AS name) || ')',
            replace(needed.object_type, 'VIEW', 'TABLE'),
            needed.object,
            grant_v1.role_name
        );
    END LOOP;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.held_lines_v1()
 RETURNS text[]
 LANGUAGE plpgsql
AS $function$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    held text[] := ARRAY(
        SELECT DISTINCT waiting.line
        FROM procrastinate_jobs AS waiting
        WHERE
            waiting.status = 'todo' AND waiting.line IS NOT NULL AND waiting.due_at IS NOT NULL
            AND waiting.due_at <= moment
            AND NOT (
    octet_length(waiting.line) <= 2600
    AND waiting.line ~ $json$^\["([^"\\\x01-\x1f]|\\["\\/bfnrt]|\\u00(0[1-9a-fA-F]|[1-7][0-9a-fA-F]))*"(, *"([^"\\\x01-\x1f]|\\["\\/bfnrt]|\\u00(0[1-9a-fA-F]|[1-7][0-9a-fA-F]))*"){2,}\]\Z$json$
)
    );
    come text[];
    free text[];
BEGIN
    -- again, for many may have come to one that is held, and hide the others
    LOOP
        come := ARRAY(
            (
                SELECT DISTINCT arrived.line
                FROM (
                    SELECT arrival.line
                    FROM workrow.line_arrivals AS arrival
                    WHERE arrival.line <> ALL(held)
                    ORDER BY arrival.id
                    LIMIT 5000
                ) AS arrived
            )
            UNION
            (
                SELECT waiting.line
                FROM procrastinate_jobs AS waiting
                WHERE
                    waiting.status = 'todo' AND waiting.line IS NOT NULL AND waiting.due_at IS NOT NULL
                    AND waiting.due_at <= moment
                    AND waiting.line <> ALL(held)
                ORDER BY waiting.due_at
                LIMIT 1000
            )
        );
        free := ARRAY(SELECT line FROM workrow.lines WHERE line = ANY(come) FOR UPDATE SKIP LOCKED);
        come := ARRAY(SELECT line FROM workrow.lines WHERE line = ANY(come) AND line <> ALL(free));
        EXIT WHEN come = '{}';
        held := held || come;
    END LOOP;
    RETURN held;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.held_locks_v1(ids bigint[])
 RETURNS bigint[]
 LANGUAGE plpgsql
 SET lock_timeout TO '2ms'
AS $function$
DECLARE
    each bigint;
    held bigint[] := '{}';
BEGIN
    FOREACH each IN ARRAY ids LOOP
        BEGIN
            UPDATE procrastinate_jobs SET status = 'doing' WHERE id = each AND lock IS NOT NULL;
            RAISE USING ERRCODE = 'WR001';
        EXCEPTION
            WHEN SQLSTATE 'WR001' THEN
                NULL;
            WHEN lock_not_available OR unique_violation THEN
                held := held || each;
        END;
    END LOOP;
    RETURN held;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.hold_claim_v1(job_id bigint, owner bigint, token integer, fenced boolean)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
BEGIN
    IF fenced THEN
        PERFORM FROM procrastinate_jobs
        WHERE id = job_id AND status = 'doing' AND worker_id = owner AND claims = token
        FOR SHARE SKIP LOCKED;
    ELSE
        PERFORM FROM procrastinate_jobs WHERE id = job_id AND status = 'doing' AND worker_id = owner AND claims = token;
    END IF;
    RETURN FOUND;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.hold_nodes_v1(in_flow bigint, tries integer)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
BEGIN
    FOR try IN 1..tries LOOP
        EXIT WHEN NOT EXISTS (
            SELECT
            FROM workrow.flow_nodes AS node
            INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
            WHERE
                node.flow_id = in_flow AND node.state = 'enqueued' AND node.fires IS NULL
                AND job.status IN ('todo', 'doing') AND job.held_at IS NULL
        );
        PERFORM pg_sleep(0.005) WHERE try > 1;
        WITH free AS (
            SELECT job.id
            FROM workrow.flow_nodes AS node
            INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
            WHERE
                node.flow_id = in_flow AND node.state = 'enqueued' AND node.fires IS NULL
                AND job.status IN ('todo', 'doing') AND job.held_at IS NULL
            -- a running job that adds jobs to its workflow, in an open transaction, holds a key share of its row
            FOR NO KEY UPDATE OF job SKIP LOCKED
        )
        UPDATE procrastinate_jobs AS job
        SET
            held_at = CASE
                WHEN job.status = 'todo' THEN coalesce(CASE WHEN job.line IS NULL THEN job.scheduled_at ELSE job.due_at END, '1970-01-01 00:00:00+00')
                ELSE '1970-01-01 00:00:00+00'
            END,
            scheduled_at = CASE WHEN job.status = 'todo' THEN '9000-01-01 00:00:00+00' ELSE job.scheduled_at END,
            due_at = CASE WHEN job.status = 'todo' AND job.line IS NOT NULL THEN '9000-01-01 00:00:00+00' ELSE job.due_at END,
            staged_at = CASE WHEN job.status = 'todo' THEN NULL ELSE job.staged_at END
        FROM free
        WHERE job.id = free.id;
    END LOOP;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.insert_once_v1(same procrastinate_jobs, rule jsonb, args jsonb, keys text[], lines text[], wanted integer[], lifetime interval)
 RETURNS TABLE(place integer, id bigint)
 LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    live boolean := rule ->> 'kind' = 'live';
    waiting boolean := rule ->> 'kind' = 'waiting';
    start timestamptz := same.scheduled_at;
BEGIN
    IF rule ? 'wait' THEN
        start := clock_timestamp() + CAST(rule ->> 'wait' AS double precision) * INTERVAL '1 second';
    END IF;
    RETURN QUERY
    WITH numbered AS MATERIALIZED (
        SELECT
            CAST(given.place AS integer) AS place, given.key, given.line, given.args,
            nextval('procrastinate_jobs_id_seq') AS id
        FROM (
            SELECT call.place, call.key, call.line, call.args
            FROM ROWS FROM (unnest(keys), unnest(lines), jsonb_array_elements(args))
                WITH ORDINALITY AS call (key, line, args, place)
            WHERE wanted IS NULL OR call.place = ANY(wanted)
            ORDER BY call.place
        ) AS given
    ),
    inserted AS (
        INSERT INTO procrastinate_jobs (
            id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, version, unique_key, expires_at,
            line, due_at
        )
        SELECT
            numbered.id, same.queue_name, same.task_name, same.priority, same.lock,
            CASE WHEN waiting THEN 'unique:' || numbered.key ELSE same.queueing_lock END,
            numbered.args,
            CASE WHEN numbered.line IS NULL THEN start ELSE '9000-01-01 00:00:00+00' END,
            same.version,
            CASE WHEN live THEN numbered.key END,
            coalesce(coalesce(start, clock_timestamp()) + lifetime, same.expires_at),
            numbered.line,
            CASE WHEN numbered.line IS NULL THEN NULL ELSE start END
        FROM numbered
        ORDER BY numbered.key COLLATE "C", numbered.id
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    SELECT numbered.place, numbered.id
    FROM numbered
    INNER JOIN inserted ON inserted.id = numbered.id;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.is_passing_v1(state text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
AS $function$
    SELECT state IN ('40001', '40P01', '55P03') OR left(state, 2) IN ('08', '53', '57', '58', 'XX')
$function$
;

CREATE OR REPLACE FUNCTION workrow.join_batch_v1(in_flow bigint, in_job bigint, job_ids bigint[], after_id bigint)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    batch workrow.flows;
    refused text;
BEGIN
    SELECT * INTO batch FROM workrow.flows WHERE id = in_flow;
    refused := CASE
        WHEN batch.id IS NULL THEN 'unseen'
        WHEN in_job IS NULL AND batch.created_at <> now() THEN 'parted'
        WHEN batch.state <> 'running' THEN batch.state
    END;
    IF refused IS NULL AND in_job IS NOT NULL THEN
        PERFORM FROM procrastinate_jobs AS own
        WHERE own.id = in_job AND own.status = 'doing' AND own.workflow_id = in_flow
        FOR KEY SHARE;
        IF NOT FOUND THEN
            refused := 'over';
        END IF;
    END IF;
    IF refused IS NOT NULL THEN
        DELETE FROM procrastinate_jobs AS job
        WHERE
            (job.id = ANY(job_ids) OR job.id > after_id)
            AND job.created_at = now() AND job.status = 'todo' AND job.workflow_id IS NULL;
        RETURN refused;
    END IF;
    WITH new AS (
        SELECT
            job.id, CAST(nextval('workrow.batch_numbers') AS integer) AS number,
            CASE WHEN batch.paused THEN
                coalesce(CASE WHEN job.line IS NULL THEN job.scheduled_at ELSE job.due_at END, '1970-01-01 00:00:00+00')
            END AS held_at
        FROM (
            SELECT inserted.id, inserted.line, inserted.scheduled_at, inserted.due_at
            FROM procrastinate_jobs AS inserted
            WHERE
                (inserted.id = ANY(job_ids) OR inserted.id > after_id)
                AND inserted.created_at = now() AND inserted.status = 'todo' AND inserted.workflow_id IS NULL
            ORDER BY inserted.id
        ) AS job
    ),
    joined AS (
        UPDATE procrastinate_jobs AS job
        SET
            workflow_id = in_flow,
            workflow_node = new.number,
            held_at = new.held_at,
            scheduled_at = CASE WHEN batch.paused THEN '9000-01-01 00:00:00+00' ELSE job.scheduled_at END,
            due_at = CASE WHEN batch.paused AND job.line IS NOT NULL THEN '9000-01-01 00:00:00+00' ELSE job.due_at END
        FROM new
        WHERE job.id = new.id
        RETURNING job.id, new.number, job.task_name, job.queue_name, job.line
    )
    INSERT INTO workrow.flow_nodes (flow_id, number, kind, state, pending, kept, spec, line, job_id)
    SELECT
        in_flow, joined.number, 'task', 'enqueued', 0, false,
        jsonb_build_object('task', joined.task_name, 'queue', joined.queue_name),
        joined.line, joined.id
    FROM joined;
    RETURN NULL;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.limit_rooms_v1(names text[])
 RETURNS SETOF workrow.limit_room
 LANGUAGE plpgsql
AS $function$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
BEGIN
    -- in PL/pgSQL for its plan is kept: planning took longer (3 ms) than running
    RETURN QUERY
    WITH rule AS (
        SELECT
            known.bucket,
            known.tokens,
            known.refilled_at,
            known.cells,
            known.counts,
            coalesce(own.max_running, every.max_running, declared.max_running) AS max_running,
            coalesce(own.rate_count, every.rate_count, declared.rate_count) AS rate_count,
            coalesce(own.rate_seconds, every.rate_seconds, declared.rate_seconds) AS seconds,
            coalesce(own.rate_burst, every.rate_burst, declared.rate_burst) AS burst,
            coalesce(own.weight, every.weight, declared.weight, 1) AS weight,
            coalesce(own.paused, every.paused, false) AS paused,
            (
                SELECT max(hold.until)
                FROM workrow.limit_holds AS hold
                WHERE
                    hold.bucket = known.bucket
                    AND hold.until > moment
                    AND hold.held_at < moment + INTERVAL '1 second'
            ) AS held_until,
            moment AS asked_at
        FROM workrow.limit_buckets AS known
        LEFT JOIN workrow.limit_rules AS own
            ON own.name = known.name AND own.key = known.key AND own.source = 'set' AND own.key <> ''
        LEFT JOIN workrow.limit_rules AS every
            ON every.name = known.name AND every.key = '' AND every.source = 'set'
        LEFT JOIN workrow.limit_rules AS declared
            ON declared.name = known.name AND declared.key = '' AND declared.source = 'declared'
        WHERE known.bucket = ANY(names)
    ),

    state AS MATERIALIZED (
        SELECT
            rule.bucket, rule.max_running, rule.rate_count, rule.seconds, rule.burst, rule.weight, rule.paused, rule.held_until, rule.asked_at,
            CASE WHEN rule.rate_count IS NOT NULL THEN least(
                rule.burst,
                coalesce(rule.tokens, rule.burst)
                + coalesce(greatest(extract(EPOCH FROM rule.asked_at - rule.refilled_at), 0), 0) * rule.rate_count / rule.seconds
            ) END AS tokens,
            CAST(floor(extract(EPOCH FROM rule.asked_at) * 50 / rule.seconds) AS bigint) AS cell,
            CASE WHEN rule.rate_count IS NOT NULL THEN past.admitted END AS admitted,
            past.oldest,
            CASE WHEN rule.max_running IS NOT NULL THEN (
                SELECT count(*) FROM workrow.limit_slots AS slot WHERE slot.bucket = rule.bucket
            ) END AS running
        FROM rule
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(old.n), 0) AS admitted, min(old.number) AS oldest
            FROM unnest(rule.cells, rule.counts) AS old (number, n)
            WHERE old.number >= floor(extract(EPOCH FROM rule.asked_at) * 50 / rule.seconds) - 50
        ) AS past
    )

    SELECT
        state.bucket,
        CASE WHEN state.paused OR state.held_until IS NOT NULL THEN 0 ELSE greatest(0, least(
            coalesce(CAST(state.max_running - state.running AS double precision), 'Infinity'),
            coalesce(floor(state.tokens + 1e-6), 'Infinity'),
            coalesce(CAST(greatest(state.rate_count, state.burst) - state.admitted AS double precision), 'Infinity')
        )) END,
        state.weight,
        CASE
            WHEN state.paused THEN NULL
            -- soon enough also if the call is lost that says it starts again
            WHEN state.held_until IS NOT NULL THEN least(state.held_until, state.asked_at + INTERVAL '1 minute')
            WHEN state.running >= state.max_running THEN NULL
            WHEN state.admitted >= greatest(state.rate_count, state.burst)
                THEN to_timestamp((state.oldest + 51) * state.seconds / 50)
            WHEN state.tokens + 1e-6 < 1
                THEN state.asked_at + (1 - state.tokens) * state.seconds / state.rate_count * INTERVAL '1 second'
        END,
        state.max_running IS NOT NULL,
        state.tokens,
        state.asked_at,
        state.cell
    FROM state;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.line_in_queue_v1(line text, queue text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
AS $function$
    SELECT CASE
        WHEN queue IS NULL OR line IS NULL THEN line
        ELSE CAST(jsonb_set(CAST(line AS jsonb), '{0}', to_jsonb(queue)) AS text)
    END
$function$
;

CREATE OR REPLACE FUNCTION workrow.lock_workflow_v1(in_flow bigint)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
DECLARE
    patience CONSTANT text := current_setting('lock_timeout');
BEGIN
    PERFORM set_config('lock_timeout', '100ms', true);
    PERFORM FROM workrow.flows WHERE id = in_flow FOR NO KEY UPDATE;
    PERFORM set_config('lock_timeout', patience, true);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.move_finished_v1(ids bigint[], end_status procrastinate_job_status DEFAULT NULL::procrastinate_job_status)
 RETURNS integer
 LANGUAGE sql
AS $function$
    WITH ended AS (
        DELETE FROM procrastinate_jobs
        WHERE id = ANY(ids)
        RETURNING *
    ),
    noted AS MATERIALIZED (
        SELECT workrow.note_queues_v1(ARRAY(SELECT DISTINCT ended.queue_name FROM ended)) AS new_ones
    ),
    told AS MATERIALIZED (
        SELECT
            CASE
                WHEN count(*) > 0 THEN CAST(workrow.end_nodes_v1(
                    array_agg(ended.workflow_id), array_agg(ended.workflow_node), array_agg(CAST(ended.status AS text)),
                    array_agg(CAST(ended.result AS text)),
                    array_agg(
                        CASE
                            WHEN ended.status = 'succeeded' AND ended.result IS NULL
                                THEN '{"type": "workrow.StockWorker", "message": "a stock procrastinate worker ran it, which keeps no result"}'
                            ELSE CAST(ended.errors -> -1 AS text)
                        END
                    )
                ) AS text)
            END AS done
        FROM ended
        WHERE ended.workflow_id IS NOT NULL AND end_status IS NULL
    ),
    moved AS (
        INSERT INTO workrow.history (
            id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id,
            worker, created_at, started_at, finished_at, result, errors, claims, crashes,
            version, unique_key, expires_at, progress, line, workflow_id, workflow_node
        )
        SELECT
            id, queue_name, task_name, priority, lock, queueing_lock, args, coalesce(end_status, status), scheduled_at, attempts,
            worker_id, worker, created_at, started_at,
            CASE WHEN end_status IS NULL THEN coalesce(finished_at, now()) ELSE clock_timestamp() END, result, errors, claims, crashes,
            version, unique_key, expires_at, progress, line, workflow_id, workflow_node
        FROM ended
        CROSS JOIN told
        RETURNING id
    )
    SELECT CAST(count(moved.id) AS integer) FROM noted LEFT JOIN moved ON true
$function$
;

CREATE OR REPLACE FUNCTION workrow.note_queues_v1(names text[])
 RETURNS integer
 LANGUAGE plpgsql
 SET lock_timeout TO '1ms'
AS $function$
DECLARE
    queue text;
    noted integer := 0;
    -- a statement may end a thousand jobs of a queue: it waits for its name once
    held jsonb := coalesce(nullif(current_setting('workrow.held_queues', true), ''), '[]');
BEGIN
    FOR queue IN
        SELECT DISTINCT given.name
        FROM unnest(names) AS given (name)
        WHERE
            NOT EXISTS (SELECT FROM workrow.queue_names AS known WHERE known.name = given.name)
            AND NOT held ? given.name
        ORDER BY given.name
    LOOP
        BEGIN
            INSERT INTO workrow.queue_names (name) VALUES (queue) ON CONFLICT (name) DO NOTHING;
            noted := noted + 1;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            held := held || to_jsonb(queue);
            PERFORM set_config('workrow.held_queues', CAST(held AS text), true);
        END;
    END LOOP;
    RETURN noted;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.notify_ended_v1()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    IF EXISTS (SELECT FROM workrow.waiters WHERE until > clock_timestamp()) AND (
    pg_notification_queue_usage() < 0.75
    AND coalesce(current_setting('workrow.notify', true), '') <> 'off'
) THEN
        PERFORM pg_notify('workrow_ended', '');
    END IF;
    RETURN NULL;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.notify_inserted_v1()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
DECLARE
    stock boolean;
    inserted_queue record;
    first_id bigint;
BEGIN
    IF EXISTS (SELECT FROM inserted WHERE line IS NOT NULL) THEN
        INSERT INTO workrow.line_arrivals (line, priority)
        SELECT job.line, max(job.priority)
        FROM inserted AS job
        WHERE job.line IS NOT NULL AND job.due_at IS NULL AND job.status = 'todo'
        GROUP BY job.line;
    END IF;
    stock := EXISTS (
        SELECT
        FROM procrastinate_workers AS worker
        WHERE
            worker.last_heartbeat BETWEEN now() - INTERVAL '60 seconds' AND now() + INTERVAL '60 seconds'
            AND NOT EXISTS (SELECT FROM workrow.worker_details AS details WHERE details.worker_id = worker.id)
    );
    -- a notification for which there is no room would be refused at COMMIT, and with it the job: then workers poll.
    -- LISTEN cuts a channel's name to the 63 bytes of a "name", where pg_notify would refuse it
    IF NOT (stock OR EXISTS (SELECT FROM workrow.sleepers)) OR NOT (
    pg_notification_queue_usage() < 0.75
    AND coalesce(current_setting('workrow.notify', true), '') <> 'off'
) THEN
        RETURN NULL;
    END IF;
    FOR inserted_queue IN
        SELECT job.queue_name, min(job.id) AS id
        FROM inserted AS job
        WHERE
            job.status = 'todo'
            AND CASE WHEN job.line IS NULL THEN coalesce(job.scheduled_at <= now(), true) ELSE job.due_at IS NULL END
        GROUP BY job.queue_name
    LOOP
        CONTINUE WHEN NOT stock AND NOT EXISTS (
            SELECT
            FROM workrow.sleepers AS sleeper
            WHERE sleeper.queues IS NULL OR inserted_queue.queue_name = ANY(sleeper.queues)
        );
        PERFORM pg_notify(
            CAST('procrastinate_queue_v1#' || inserted_queue.queue_name AS name),
            CAST(json_build_object('type', 'job_inserted', 'job_id', inserted_queue.id) AS text)
        );
        first_id := least(first_id, inserted_queue.id);
    END LOOP;
    IF first_id IS NOT NULL THEN
        PERFORM pg_notify(
            'procrastinate_any_queue_v1',
            CAST(json_build_object('type', 'job_inserted', 'job_id', first_id) AS text)
        );
    END IF;
    RETURN NULL;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.notify_queue_v1(queue text, event text, job_id bigint)
 RETURNS void
 LANGUAGE sql
AS $function$
    SELECT pg_notify(channel.name, CAST(json_build_object('type', event, 'job_id', job_id) AS text))
    FROM (VALUES (CAST('procrastinate_queue_v1#' || queue AS name)), ('procrastinate_any_queue_v1')) AS channel (name)
    WHERE (
    pg_notification_queue_usage() < 0.75
    AND coalesce(current_setting('workrow.notify', true), '') <> 'off'
)
$function$
;

CREATE OR REPLACE FUNCTION workrow.open_member_v1(in_flow bigint, from_number integer)
 RETURNS integer
 LANGUAGE sql
 STABLE
AS $function$
    SELECT member.number
    FROM workrow.flow_nodes AS member
    WHERE
        member.flow_id = in_flow
        AND member.number <= from_number
        AND member.state NOT IN ('succeeded', 'failed', 'cancelled', 'skipped')
    ORDER BY member.number DESC
    LIMIT 1
$function$
;

CREATE OR REPLACE FUNCTION workrow.orphan_jobs_v1()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    UPDATE procrastinate_jobs
    SET worker_id = NULL
    WHERE worker_id = ANY(ARRAY(SELECT id FROM deleted)) AND status = 'doing';
    DELETE FROM workrow.sleepers WHERE worker_id = ANY(ARRAY(SELECT id FROM deleted));
    RETURN NULL;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.others_v1(total integer, done integer[])
 RETURNS integer[]
 LANGUAGE sql
 IMMUTABLE
AS $function$
    SELECT ARRAY(SELECT place FROM generate_series(1, total) AS place EXCEPT SELECT each FROM unnest(done) AS each)
$function$
;

CREATE OR REPLACE FUNCTION workrow.pause_schedule_v1(schedule text, actor text DEFAULT NULL::text, reason text DEFAULT NULL::text)
 RETURNS boolean
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    WITH paused AS (
        UPDATE workrow.timetable
        SET paused_at = coalesce(paused_at, clock_timestamp()), paused_by = actor, pause_reason = reason
        WHERE name = schedule
        RETURNING name
    )
    SELECT EXISTS (SELECT FROM paused)
$function$
;

CREATE OR REPLACE FUNCTION workrow.pause_v1(kind text, name text, actor text DEFAULT NULL::text, reason text DEFAULT NULL::text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    IF pause_v1.kind IS NULL OR pause_v1.kind NOT IN ('queue', 'task') THEN
        RAISE 'kind % cannot be paused: give queue or task', quote_nullable(pause_v1.kind)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF coalesce(pause_v1.name, '') = '' THEN
        RAISE 'name % names no %', quote_nullable(pause_v1.name), pause_v1.kind USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO workrow.pause_log (kind, name, actor, reason)
    VALUES (pause_v1.kind, pause_v1.name, pause_v1.actor, pause_v1.reason)
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.pause_workflow_v1(in_flow bigint)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    UPDATE workrow.flows SET paused = true WHERE id = in_flow AND state = 'running';
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM workrow.hold_nodes_v1(in_flow, 20);
    RETURN 'paused';
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.privileges_v1(kind text)
 RETURNS TABLE(object_type text, object text, privilege text, columns text[])
 LANGUAGE sql
 STABLE
AS $function$
    WITH ours AS (
        SELECT oid, relname AS name, relkind
        FROM pg_catalog.pg_class
        WHERE
            relnamespace = CAST('workrow' AS regnamespace)
            AND (
                relkind IN ('p', 'v')
                -- no day of history, nor one that was detached from it and is kept
                OR relkind = 'r' AND NOT EXISTS (
                    SELECT FROM pg_catalog.pg_attribute WHERE attrelid = pg_class.oid AND attname = 'finished_at'
                )
            )
    ),
    function (name, kinds) AS (
        VALUES
        ('enqueue_once_v1', ARRAY['producer', 'worker']),
        ('start_workflow_v1', ARRAY['producer', 'worker']),
        ('append_nodes_v1', ARRAY['producer', 'worker']),
        ('join_batch_v1', ARRAY['producer', 'worker']),
        ('end_batch_v1', ARRAY['producer', 'worker']),
        ('extend_history_v1', ARRAY['worker']),
        ('prune_history_v1', ARRAY['worker']),
        ('cancel_job_v1', ARRAY['operator', 'worker']),
        ('release_job_v1', ARRAY['operator', 'worker']),
        ('requeue_job_v1', ARRAY['operator', 'worker']),
        ('pause_v1', ARRAY['operator', 'worker']),
        ('resume_v1', ARRAY['operator', 'worker']),
        ('pause_schedule_v1', ARRAY['operator', 'worker']),
        ('resume_schedule_v1', ARRAY['operator', 'worker']),
        ('delete_schedule_v1', ARRAY['operator', 'worker']),
        ('set_limit_v1', ARRAY['operator', 'worker']),
        ('reset_limit_v1', ARRAY['operator', 'worker']),
        ('set_queue_v1', ARRAY['operator', 'worker']),
        ('celery_write_v1', ARRAY['producer', 'worker']),
        ('celery_once_v1', ARRAY['producer', 'worker']),
        ('celery_forget_v1', ARRAY['producer', 'worker', 'operator']),
        ('celery_revoke_v1', ARRAY['producer', 'worker', 'operator']),
        ('celery_prune_v1', ARRAY['worker']),
        ('celery_command_v1', ARRAY['producer', 'worker', 'operator']),
        ('celery_replies_v1', ARRAY['producer', 'worker', 'operator']),
        ('celery_move_v1', ARRAY['producer', 'worker']),
        ('celery_dial_v1', ARRAY['operator', 'worker']),
        ('celery_switch_v1', ARRAY['operator', 'worker']),
        ('signal_v1', ARRAY['producer', 'worker', 'operator']),
        ('relatives_v1', ARRAY['producer', 'worker', 'operator']),
        ('cancel_workflow_v1', ARRAY['operator', 'worker']),
        ('pause_workflow_v1', ARRAY['operator', 'worker']),
        ('resume_workflow_v1', ARRAY['operator', 'worker']),
        ('retry_workflow_v1', ARRAY['operator', 'worker'])
    ),
    written (name, columns) AS (
        -- what the statements of an enqueue name, and what the trigger that wakes workers looks at
        VALUES
        ('procrastinate_jobs', 'queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, line, due_at, version'),
        ('workrow.hidden_arguments', 'task_name, name'),
        ('workrow.line_arrivals', 'line, priority'),
        ('workrow.waiters', 'listener, until')
    ),
    -- all but arguments: what waits under a key or in a full queue, and how a job has ended
    seen (name, columns) AS (
        VALUES
        (
            'procrastinate_jobs',
            'id, status, queueing_lock, queue_name, lock, scheduled_at, staged_at, line, due_at, '
            'task_name, attempts, worker, result, errors'
        ),
        ('procrastinate_workers', 'id, last_heartbeat'),
        ('workrow.worker_details', 'worker_id'),
        ('workrow.sleepers', 'worker_id, queues'),
        ('workrow.queue_caps', 'queue_name, declared_depth, max_depth'),
        ('workrow.hidden_arguments', 'task_name, name'),
        ('workrow.waiters', 'listener, until'),
        ('workrow.history', 'id, status, task_name, attempts, worker, result, errors'),
        ('workrow.jobs', 'id, status, progress'),
        ('workrow.all_jobs', 'id, status'),
        ('workrow.caps', 'queue, max_depth, depth'),
        ('workrow.flows', 'id, name, state, root, size, failed_node, paused, created_at, ended_at'),
        ('workrow.celery_results', 'task_id, state, value, traceback, children, details, noted_at, expires_at'),
        ('workrow.celery_groups', 'group_id, members'),
        ('workrow.celery_revoked', 'task_id'),
        ('workrow.celery_dials', 'task, percent, sticky_by, shadow, bridge_is_on, changed_at'),
        ('workrow.flow_nodes', 'flow_id, number, state, kind, result, error, job_id, spec')
    )
    SELECT 'SCHEMA', 'workrow', 'USAGE', CAST(NULL AS text[])
    UNION ALL
    SELECT 'SCHEMA', CAST(CAST(relnamespace AS regnamespace) AS text), 'USAGE', NULL
    FROM pg_catalog.pg_class
    WHERE oid = CAST('procrastinate_jobs' AS regclass)
    UNION ALL
    SELECT 'TABLE', 'workrow.schema_version', 'SELECT', NULL
    UNION ALL
    SELECT 'FUNCTION', CAST(CAST(pg_proc.oid AS regprocedure) AS text), 'EXECUTE', NULL
    FROM function
    INNER JOIN pg_catalog.pg_proc ON pronamespace = CAST('workrow' AS regnamespace) AND proname = function.name
    WHERE privileges_v1.kind = ANY(function.kinds)
    UNION ALL
    SELECT 'VIEW', CAST(CAST(oid AS regclass) AS text), 'SELECT', NULL
    FROM ours
    WHERE relkind = 'v' AND privileges_v1.kind IN ('viewer', 'operator', 'worker')
    UNION ALL
    SELECT 'TABLE', 'workrow.installed_objects', 'SELECT', NULL
    WHERE privileges_v1.kind IN ('viewer', 'operator')
    UNION ALL
    SELECT CASE WHEN relkind = 'v' THEN 'VIEW' ELSE 'TABLE' END, name, 'SELECT', string_to_array(columns, ', ')
    FROM seen
    INNER JOIN pg_catalog.pg_class ON oid = CAST(name AS regclass)
    WHERE privileges_v1.kind = 'producer'
    UNION ALL
    SELECT 'TABLE', name, 'INSERT', string_to_array(columns, ', ')
    FROM written
    WHERE privileges_v1.kind = 'producer'
    UNION ALL
    SELECT 'TABLE', 'workrow.waiters', privilege, NULL
    FROM unnest(ARRAY['UPDATE', 'DELETE']) AS privilege
    WHERE privileges_v1.kind = 'producer'
    UNION ALL
    SELECT 'TABLE', CAST(CAST(oid AS regclass) AS text), privilege, NULL
    FROM ours
    CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
    WHERE
        relkind <> 'v'
        AND privileges_v1.kind = 'worker'
        AND name NOT IN ('schema_version', 'installed_objects', 'granted_roles')
        AND NOT (name = 'history' AND privilege = 'UPDATE')
    UNION ALL
    SELECT 'TABLE', name, privilege, NULL
    FROM unnest(ARRAY['procrastinate_jobs', 'procrastinate_workers', 'procrastinate_periodic_defers', 'procrastinate_events']) AS name
    CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
    WHERE privileges_v1.kind = 'worker' AND (name <> 'procrastinate_events' OR privilege = 'SELECT')
    UNION ALL
    SELECT 'SEQUENCE', pg_get_serial_sequence('procrastinate_jobs', 'id'), 'USAGE', NULL
    WHERE privileges_v1.kind IN ('producer', 'worker')
    UNION ALL
    SELECT 'SEQUENCE', sequence, privilege, NULL
    FROM (
        VALUES
        (pg_get_serial_sequence('procrastinate_periodic_defers', 'id'), 'USAGE'),
        ('workrow.line_turns', 'SELECT'),
        ('workrow.flow_numbers', 'USAGE')
    ) AS counted (sequence, privilege)
    WHERE privileges_v1.kind = 'worker'
$function$
;

CREATE OR REPLACE FUNCTION workrow.prune_history_v1(keep interval)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET lock_timeout TO '100ms'
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    old regclass[];
    partition regclass;
    dropped integer := 0;
    kept bigint[];
    staying workrow.history[];
BEGIN
    kept := ARRAY(
        SELECT past.id
        FROM workrow.flows AS flow
        INNER JOIN workrow.flow_nodes AS node ON node.flow_id = flow.id
        INNER JOIN workrow.history AS past ON past.id = node.job_id
        WHERE
            flow.created_at < now() - keep
            AND (flow.ended_at IS NULL OR flow.ended_at >= now() - keep)
            AND past.finished_at < now() - keep
    );
    DELETE FROM workrow.history_default
    WHERE ctid = ANY(ARRAY(
        SELECT late.ctid
        FROM workrow.history_default AS late
        WHERE late.finished_at < now() - keep AND NOT EXISTS (SELECT FROM unnest(kept) AS each (id) WHERE each.id = late.id)
        FOR UPDATE SKIP LOCKED
    ));
    old := ARRAY(
        SELECT CAST(child.oid AS regclass)
        FROM pg_inherits
        INNER JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
        WHERE
            pg_inherits.inhparent = CAST('workrow.history' AS regclass)
            AND CAST(
                substring(pg_get_expr(child.relpartbound, child.oid) FROM 'TO \(''([^'']+)''\)') AS timestamptz
            ) <= now() - keep
        ORDER BY child.relname
    );
    IF old = '{}' THEN
        RETURN 0;
    END IF;
    BEGIN
        -- what every DROP needs, once: with a wait for each partition, finishes would wait that often
        LOCK TABLE ONLY workrow.history, ONLY workrow.history_default IN ACCESS EXCLUSIVE MODE;
    EXCEPTION WHEN lock_not_available THEN
        RETURN 0;
    END;
    FOREACH partition IN ARRAY old LOOP
        BEGIN
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', partition);
            IF cardinality(kept) > 0 THEN
                staying := staying || ARRAY(
                    SELECT past FROM workrow.history AS past WHERE past.id = ANY(kept) AND past.tableoid = partition
                );
            END IF;
            EXECUTE format('DROP TABLE %s', partition);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN
            CONTINUE;
        END;
    END LOOP;
    IF cardinality(staying) > 0 THEN
        -- they do not end a second time
        ALTER TABLE workrow.history_default DISABLE TRIGGER USER;
        INSERT INTO workrow.history_default SELECT each.* FROM unnest(staying) AS each;
        ALTER TABLE workrow.history_default ENABLE TRIGGER USER;
    END IF;
    RETURN dropped;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.prune_limits_v1(max_rows integer DEFAULT 1000)
 RETURNS integer
 LANGUAGE sql
AS $function$
    WITH over AS (
        DELETE FROM workrow.limit_holds
        WHERE id = ANY(ARRAY(
            SELECT hold.id
            FROM workrow.limit_holds AS hold
            WHERE hold.until < clock_timestamp()
            ORDER BY hold.id
            LIMIT max_rows
            FOR UPDATE SKIP LOCKED
        ))
    ),
    idle AS (
        SELECT known.bucket
        FROM workrow.limit_buckets AS known
        WHERE
            (known.refilled_at IS NULL OR known.refilled_at < clock_timestamp() - INTERVAL '1 day')
            AND NOT EXISTS (SELECT FROM workrow.limit_slots AS slot WHERE slot.bucket = known.bucket)
            AND NOT EXISTS (SELECT FROM workrow.limit_holds AS hold WHERE hold.bucket = known.bucket)
            AND NOT EXISTS (SELECT FROM workrow.lines AS line WHERE line.blocked_on = known.bucket)
            AND NOT EXISTS (
                SELECT
                FROM workrow.limit_rules AS rule
                WHERE rule.name = known.name AND rule.rate_seconds > 86400
            )
        LIMIT max_rows
        FOR UPDATE OF known SKIP LOCKED
    ),
    gone AS (
        DELETE FROM workrow.limit_buckets WHERE bucket IN (SELECT idle.bucket FROM idle) RETURNING bucket
    )
    SELECT CAST(count(*) AS integer) FROM gone
$function$
;

CREATE OR REPLACE FUNCTION workrow.prune_steps_v1(keep interval)
 RETURNS integer
 LANGUAGE sql
AS $function$
    WITH gone AS MATERIALIZED (
        SELECT old.job_id
        FROM (
            SELECT job_id FROM workrow.job_steps WHERE noted_at < now() - keep
            UNION
            SELECT job_id FROM workrow.job_signals WHERE sent_at < now() - keep
        ) AS old
        WHERE
            NOT EXISTS (SELECT FROM procrastinate_jobs AS live WHERE live.id = old.job_id)
            AND NOT EXISTS (SELECT FROM workrow.history AS ended WHERE ended.id = old.job_id)
    ),
    signals AS (
        DELETE FROM workrow.job_signals WHERE job_id IN (SELECT gone.job_id FROM gone) RETURNING id
    ),
    steps AS (
        DELETE FROM workrow.job_steps WHERE job_id IN (SELECT gone.job_id FROM gone) RETURNING job_id
    )
    SELECT CAST((SELECT count(*) FROM signals) + (SELECT count(*) FROM steps) AS integer)
$function$
;

CREATE OR REPLACE FUNCTION workrow.prune_workflows_v1(keep interval, max_rows integer DEFAULT 100)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
DECLARE
    old CONSTANT bigint[] := ARRAY(
        SELECT flow.id FROM workrow.flows AS flow
        WHERE flow.ended_at < now() - keep
        ORDER BY flow.id
        LIMIT max_rows
        FOR UPDATE SKIP LOCKED
    );
BEGIN
    DELETE FROM workrow.flow_nodes WHERE flow_id = ANY(old);
    DELETE FROM workrow.flows WHERE id = ANY(old);
    RETURN cardinality(old);
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.queue_is_full_v1(queue text, more integer)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
    SELECT coalesce(
        (
            SELECT workrow.ready_depth_v1(queue, least(coalesce(cap.max_depth, cap.declared_depth), 2147483646) + 1) + more
                > coalesce(cap.max_depth, cap.declared_depth)
            FROM workrow.queue_caps AS cap
            WHERE cap.queue_name = queue AND coalesce(cap.max_depth, cap.declared_depth) IS NOT NULL
        ),
        false
    )
$function$
;

CREATE OR REPLACE FUNCTION workrow.ready_depth_v1(queue text, up_to integer)
 RETURNS bigint
 LANGUAGE sql
 STABLE
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
    SELECT count(*)
    FROM (
        (
            SELECT 1
            FROM procrastinate_jobs AS job
            WHERE
                job.status = 'todo' AND (job.scheduled_at IS NULL OR job.staged_at = job.scheduled_at)
                AND job.lock IS NULL
                AND job.queue_name = queue
            LIMIT up_to
        )
        UNION ALL
        (
            SELECT 1
            FROM procrastinate_jobs AS job
            WHERE
                job.status = 'todo'
                AND (job.lock IS NOT NULL OR job.line IS NOT NULL)
                AND job.queue_name = queue
                AND CASE
                    WHEN job.line IS NULL THEN job.status = 'todo' AND (job.scheduled_at IS NULL OR job.staged_at = job.scheduled_at)
                    ELSE job.due_at IS NULL
                END
            LIMIT up_to
        )
        LIMIT up_to
    ) AS waiting
$function$
;

CREATE OR REPLACE FUNCTION workrow.relatives_v1(job_id bigint)
 RETURNS TABLE(parents jsonb, children jsonb)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    WITH RECURSIVE own AS (
        SELECT live.id, live.workflow_id, live.workflow_node, live.unique_key
        FROM procrastinate_jobs AS live
        WHERE live.id = relatives_v1.job_id
        UNION ALL
        SELECT past.id, past.workflow_id, past.workflow_node, past.unique_key
        FROM workrow.history AS past
        WHERE past.id = relatives_v1.job_id
    ),

    node AS (
        SELECT
            mine.flow_id, mine.number, mine.appended_to,
            array_append(mine.parents, mine.appended_to) AS before,
            mine.dependents || mine.callbacks AS after
        FROM own
        INNER JOIN workrow.flow_nodes AS mine ON mine.flow_id = own.workflow_id AND mine.number = own.workflow_node
    ),

    around (is_parent, flow_id, number) AS (
        SELECT side.is_parent, node.flow_id, given.number
        FROM node
        CROSS JOIN LATERAL (VALUES (true, node.before), (false, node.after)) AS side (is_parent, numbers)
        CROSS JOIN LATERAL unnest(side.numbers) AS given (number)
        UNION
        SELECT around.is_parent, around.flow_id, given.number
        FROM around
        INNER JOIN workrow.flow_nodes AS between_them
            ON between_them.flow_id = around.flow_id AND between_them.number = around.number AND between_them.kind <> 'task'
        CROSS JOIN LATERAL unnest(
            CASE WHEN around.is_parent THEN between_them.parents ELSE between_them.dependents END
        ) AS given (number)
    ),

    relative (is_parent, job_id) AS (
        SELECT around.is_parent, other.job_id
        FROM around
        INNER JOIN workrow.flow_nodes AS other ON other.flow_id = around.flow_id AND other.number = around.number
        WHERE around.is_parent OR NOT EXISTS (SELECT FROM node WHERE node.appended_to = other.number)
        UNION
        SELECT false, other.job_id
        FROM node
        INNER JOIN workrow.flow_nodes AS other ON other.flow_id = node.flow_id
        WHERE other.appended_to = node.number OR other.fires = 'undo' AND other.parents[1] = node.number
        UNION
        SELECT true, CAST(split_part(own.unique_key, ':', 2) AS bigint)
        FROM own
        WHERE own.unique_key ~ '^workrow\.call:[0-9]{1,18}:'
        UNION
        SELECT false, call.child_id
        FROM own
        INNER JOIN workrow.job_steps AS call ON call.job_id = own.id
    )

    SELECT
        jsonb_agg(to_jsonb(job) ORDER BY job.id) FILTER (WHERE relative.is_parent) AS parents,
        jsonb_agg(to_jsonb(job) ORDER BY job.id) FILTER (WHERE NOT relative.is_parent) AS children
    FROM own
    LEFT JOIN relative ON relative.job_id IS NOT NULL
    LEFT JOIN LATERAL (
        SELECT live.id, live.task_name AS task, live.queue_name AS queue
        FROM procrastinate_jobs AS live
        WHERE live.id = relative.job_id
        UNION ALL
        SELECT past.id, past.task_name AS task, past.queue_name AS queue
        FROM workrow.history AS past
        WHERE past.id = relative.job_id
    ) AS job ON true
    WHERE job.id IS NOT NULL OR relative.job_id IS NULL
    GROUP BY own.id
$function$
;

CREATE OR REPLACE FUNCTION workrow.release_job_v1(job_id bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    verdict text;
BEGIN
    IF NOT EXISTS (SELECT FROM workrow.history WHERE id = job_id AND quarantine IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    verdict := workrow.requeue_job_v1(job_id);
    IF verdict LIKE 'never: %' THEN
        RAISE 'job % stays in quarantine: its workflow cannot be retried: %', job_id, substr(verdict, 8) USING ERRCODE = 'no_data_found';
    ELSIF verdict = 'blocked' THEN
        RAISE 'job % stays in quarantine: a newer job waits under its queueing lock, or has its unique key', job_id USING ERRCODE = 'unique_violation';
    END IF;
    RETURN job_id;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.renumber_nodes_v1(nodes jsonb, numbers integer[])
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION workrow.replace_job_v1(in_job bigint, owner bigint, token integer, in_worker text, flow jsonb, nodes jsonb)
 RETURNS bigint
 LANGUAGE plpgsql
AS $function$
DECLARE
    job procrastinate_jobs;
    numbers integer[];
BEGIN
    SELECT * INTO job
    FROM procrastinate_jobs AS own
    WHERE own.id = in_job AND own.status = 'doing' AND own.worker_id = owner AND own.claims = token
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR job.workflow_id IS NOT NULL AND NOT workrow.lock_workflow_v1(job.workflow_id) THEN
        RETURN NULL;
    END IF;
    IF job.workflow_id IS NULL THEN
        UPDATE procrastinate_jobs
        SET worker = in_worker, result = jsonb_build_object('workflow_id', workrow.start_workflow_v1(flow, nodes, '{}'))
        WHERE id = in_job;
    ELSE
        numbers := ARRAY(
            SELECT CAST(nextval('workrow.flow_numbers') AS integer) FROM generate_series(1, jsonb_array_length(nodes))
        );
        PERFORM workrow.add_nodes_v1(job.workflow_id, workrow.renumber_nodes_v1(nodes, numbers), job.workflow_node);
        UPDATE workrow.flow_nodes
        SET replaced_by = numbers[1 + CAST(flow ->> 'root' AS integer)]
        WHERE flow_id = job.workflow_id AND number = job.workflow_node;
        UPDATE procrastinate_jobs SET worker = in_worker WHERE id = in_job;
    END IF;
    RETURN workrow.end_job_v1(in_job, ARRAY['doing']::procrastinate_job_status[], 'succeeded');
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.requeue_job_v1(job_id bigint)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    flow bigint;
    verdict text;
BEGIN
    SELECT node.flow_id INTO flow
    FROM workrow.history AS past
    INNER JOIN workrow.flow_nodes AS node ON node.flow_id = past.workflow_id AND node.number = past.workflow_node
    WHERE past.id = requeue_job_v1.job_id AND past.status <> 'succeeded' AND node.job_id = past.id AND node.fires IS NULL;
    verdict := CASE WHEN flow IS NOT NULL THEN workrow.retry_workflow_v1(flow) END;
    IF verdict IS NULL THEN
        RETURN workrow.return_job_v1(job_id, NULL, NULL);
    END IF;
    RETURN CASE verdict WHEN 'running' THEN 'queued' ELSE verdict END;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.rescue_jobs_v1(max_crashes integer DEFAULT 3, max_rows integer DEFAULT 1000)
 RETURNS TABLE(job_id bigint, task text, queue text, worker text, verdict text)
 LANGUAGE plpgsql
AS $function$
DECLARE
    workers bigint[];
    beats double precision[];
    jobs bigint[];
    starts double precision[];
BEGIN
    SELECT array_agg(silent.id), array_agg(extract(EPOCH FROM silent.last_heartbeat)) INTO workers, beats
    FROM procrastinate_workers AS silent
    LEFT JOIN workrow.worker_details AS details ON details.worker_id = silent.id
    WHERE silent.last_heartbeat < clock_timestamp() - coalesce(details.lease, INTERVAL '30 seconds');
    SELECT array_agg(held.id), array_agg(extract(EPOCH FROM held.started_at)) INTO jobs, starts
    FROM procrastinate_jobs AS held
    WHERE
        held.status = 'doing'
        AND held.worker_id IS NULL
        AND held.started_at < clock_timestamp() - INTERVAL '30 seconds';
    RETURN QUERY
    SELECT rescued.*
    FROM workrow.rescue_jobs_v2(
        coalesce(workers, '{}'), coalesce(beats, '{}'), coalesce(jobs, '{}'), coalesce(starts, '{}'), max_crashes, max_rows
    ) AS rescued;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.rescue_jobs_v2(workers bigint[], beats double precision[], jobs bigint[], starts double precision[], max_crashes integer DEFAULT 3, max_rows integer DEFAULT 1000)
 RETURNS TABLE(job_id bigint, task text, queue text, worker text, verdict text)
 LANGUAGE plpgsql
AS $function$
DECLARE
    dead bigint[];
    orphan record;
    queued text[] := '{}';
    patience text := current_setting('lock_timeout');
BEGIN
    -- whoever beats in this moment is skipped; who beats a moment later finds its row gone
    dead := ARRAY(
        SELECT silent.id
        FROM unnest(workers, beats) AS watched (id, beat)
        INNER JOIN procrastinate_workers AS silent ON silent.id = watched.id
        WHERE CAST(extract(EPOCH FROM silent.last_heartbeat) AS double precision) = watched.beat
        FOR UPDATE OF silent SKIP LOCKED
    );
    FOR orphan IN
        SELECT
            job.id, job.task_name, job.queue_name, job.worker_id,
            CAST(extract(EPOCH FROM job.started_at) AS double precision) AS start,
            (job.crashes = 0 OR coalesce(job.marked = job.claims, false)) AND details.stopping_at IS NULL AS counted,
            coalesce(details.name, 'worker') || ' ' || coalesce(CAST(job.worker_id AS text), '(gone)') AS name,
            coalesce(details.death, 'lost heartbeat') AS death,
            CASE WHEN details.stopping_at IS NULL THEN '' ELSE ', which had said that it stops' END AS last_words
        FROM procrastinate_jobs AS job
        LEFT JOIN workrow.worker_details AS details ON details.worker_id = job.worker_id
        WHERE
            job.status = 'doing'
            AND job.id = ANY(ARRAY(
                SELECT held.id FROM procrastinate_jobs AS held
                WHERE held.status = 'doing' AND held.worker_id = ANY(dead)
                UNION ALL
                SELECT held.id FROM procrastinate_jobs AS held
                WHERE
                    held.status = 'doing'
                    AND held.worker_id IS NOT NULL
                    AND held.worker_id <> ALL(ARRAY(SELECT known.id FROM procrastinate_workers AS known))
                UNION ALL
                SELECT held.id FROM procrastinate_jobs AS held
                WHERE held.status = 'doing' AND held.worker_id IS NULL AND held.id = ANY(jobs)
            ))
        ORDER BY job.id
        LIMIT max_rows
        FOR UPDATE OF job SKIP LOCKED
    LOOP
        -- Rows are locked one after the other, long after the ids were found: another rescuer may have given this one
        -- back, and a living worker have claimed it.
        CONTINUE WHEN orphan.worker_id <> ALL(dead)
            AND EXISTS (SELECT FROM procrastinate_workers AS holder WHERE holder.id = orphan.worker_id);
        CONTINUE WHEN orphan.worker_id IS NULL AND orphan.start IS DISTINCT FROM starts[array_position(jobs, orphan.id)];
        job_id := orphan.id;
        task := orphan.task_name;
        queue := orphan.queue_name;
        worker := orphan.name;
        BEGIN
            verdict := workrow.crash_job_v1(
                orphan.id, orphan.counted, max_crashes, orphan.death || ' of ' || orphan.name || orphan.last_words
            );
        EXCEPTION
            WHEN lock_not_available THEN
                -- somebody's open transaction has its queueing lock; of others like it, each would take as long
                verdict := 'held';
                PERFORM set_config('lock_timeout', '2ms', true);
            WHEN OTHERS THEN
                -- one row that refuses must not keep the others
                verdict := 'refused: ' || SQLERRM;
        END;
        IF verdict = 'queued' AND queue <> ALL(queued) THEN
            queued := queued || queue;
            PERFORM workrow.notify_queue_v1(queue, 'job_inserted', 0);
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM set_config('lock_timeout', patience, true);
    BEGIN
        DELETE FROM procrastinate_workers AS buried
        WHERE
            buried.id = ANY(dead)
            AND NOT EXISTS (SELECT FROM procrastinate_jobs AS job WHERE job.worker_id = buried.id AND job.status = 'doing');
    EXCEPTION WHEN lock_not_available THEN
        -- what comes with it, their beds among the sleepers, is held: for the next look
        NULL;
    END;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.reset_limit_v1(limit_name text, limit_key text DEFAULT ''::text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    of_key text := coalesce(limit_key, '');
    was_set boolean;
BEGIN
    DELETE FROM workrow.limit_rules WHERE name = limit_name AND key = of_key AND source = 'set';
    was_set := FOUND;
    DELETE FROM workrow.limit_holds
    WHERE
        until > clock_timestamp()
        AND split_part(bucket, '=', 1) = limit_name
        AND (of_key = '' OR bucket = limit_name || '=' || of_key);
    was_set := was_set OR FOUND;
    IF was_set THEN
        PERFORM workrow.call_limit_v1(limit_name);
    END IF;
    RETURN was_set;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.resume_nodes_v1(in_flow bigint)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM workrow.advance_nodes_v1(array_agg(node.flow_id), array_agg(node.number), array_agg(0))
    FROM workrow.flow_nodes AS node
    WHERE node.flow_id = in_flow AND node.state IN ('waiting', 'ready') AND node.pending = 0 AND node.fires IS NULL
    HAVING count(*) > 0;
    PERFORM workrow.settle_workflows_v1(ARRAY[in_flow]);
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.resume_schedule_v1(schedule text)
 RETURNS boolean
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    WITH resumed AS (
        UPDATE workrow.timetable
        SET
            paused_at = NULL,
            paused_by = NULL,
            pause_reason = NULL,
            last_tick = clock_timestamp(),
            next_due = CASE WHEN next_due IS NOT NULL THEN clock_timestamp() END
        WHERE name = schedule AND paused_at IS NOT NULL
        RETURNING name
    ),
    told AS (
        SELECT CASE WHEN (
    pg_notification_queue_usage() < 0.75
    AND coalesce(current_setting('workrow.notify', true), '') <> 'off'
) THEN pg_notify('workrow_schedules', 'schedules') END
        FROM resumed
    )
    SELECT EXISTS (SELECT FROM told)
$function$
;

CREATE OR REPLACE FUNCTION workrow.resume_v1(kind text, name text, actor text DEFAULT NULL::text, reason text DEFAULT NULL::text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    DELETE FROM workrow.pause_log AS past WHERE past.resumed_at < now() - INTERVAL '90 days';
    UPDATE workrow.pause_log AS pause
    SET resumed_at = clock_timestamp(), resumed_by = resume_v1.actor, resume_reason = resume_v1.reason
    WHERE pause.kind = resume_v1.kind AND pause.name = resume_v1.name AND pause.resumed_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF resume_v1.kind = 'queue' THEN
        PERFORM workrow.notify_queue_v1(resume_v1.name, 'job_inserted', 0);
    ELSE
        PERFORM workrow.notify_queue_v1(known.name, 'job_inserted', 0) FROM workrow.queue_names AS known;
    END IF;
    RETURN true;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.resume_workflow_v1(in_flow bigint)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    UPDATE workrow.flows SET paused = false WHERE id = in_flow AND paused;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM workrow.free_nodes_v1(in_flow, 20);
    PERFORM workrow.resume_nodes_v1(in_flow);
    RETURN 'running';
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.retry_workflow_v1(in_flow bigint)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    bad integer[];
    again integer[];
    calls integer[];
    node record;
    verdict text;
    untold boolean := false;
BEGIN
    UPDATE workrow.flows AS flow
    SET state = 'running', ended_at = NULL, failed_node = NULL
    WHERE
        flow.id = in_flow
        AND flow.state IN ('failed', 'cancelled')
        AND NOT EXISTS (
            SELECT FROM workrow.flow_nodes AS undo
            WHERE undo.flow_id = in_flow AND undo.fires = 'undo' AND undo.job_id IS NOT NULL
        )
    RETURNING flow.callbacks INTO calls;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    again := ARRAY(
        WITH RECURSIVE later (number) AS (
            SELECT next.number
            FROM workrow.flow_nodes AS failed
            CROSS JOIN LATERAL unnest(failed.dependents || failed.callbacks) AS next (number)
            WHERE
                failed.flow_id = in_flow AND failed.state IN ('failed', 'cancelled') AND failed.fires IS NULL
                -- what it was appended to went on without it, and has no arguments any more
                AND NOT EXISTS (
                    SELECT FROM workrow.flow_nodes AS grown
                    WHERE
                        grown.flow_id = in_flow AND grown.number = next.number AND grown.number = failed.appended_to
                        AND grown.state = 'succeeded'
                )
            UNION
            SELECT next.number
            FROM later
            INNER JOIN workrow.flow_nodes AS before ON before.flow_id = in_flow AND before.number = later.number
            CROSS JOIN LATERAL unnest(before.dependents || before.callbacks) AS next (number)
        )
        SELECT later.number FROM later
    );
    bad := ARRAY(
        SELECT failed.number FROM workrow.flow_nodes AS failed
        WHERE
            failed.flow_id = in_flow AND failed.state IN ('failed', 'cancelled') AND failed.fires IS NULL
            AND failed.number <> ALL(again)
    );
    -- what came after a failure waits again, and so do callbacks and compensations; what others took the place of waits for them
    UPDATE workrow.flow_nodes AS later
    SET
        state = CASE WHEN later.state = 'expanded' THEN 'expanded' ELSE 'waiting' END,
        job_id = CASE WHEN later.state = 'expanded' THEN later.job_id END,
        replaced_by = CASE WHEN later.state = 'expanded' THEN later.replaced_by END,
        ended_at = NULL,
        error = NULL,
        pending = CASE WHEN later.fires IS NULL THEN 0 ELSE 1 END
    WHERE
        later.flow_id = in_flow AND (later.number = ANY(again) OR later.fires = 'undo' OR later.number = ANY(calls));
    UPDATE workrow.flow_nodes AS later
    SET pending = waits.times
    FROM (
        SELECT next.number, count(*) AS times
        FROM workrow.flow_nodes AS before
        CROSS JOIN LATERAL unnest(before.dependents) AS next (number)
        WHERE before.flow_id = in_flow AND before.state NOT IN ('succeeded', 'skipped')
        GROUP BY next.number
    ) AS waits
    WHERE later.flow_id = in_flow AND later.number = waits.number AND later.number = ANY(again);
    -- a batch looks at all of its members again
    UPDATE workrow.flow_nodes SET state = 'waiting', pending = -1, ended_at = NULL
    WHERE flow_id = in_flow AND number = 0 AND kind = 'batch';
    FOR node IN
        SELECT failed.number, failed.job_id, failed.args, failed.spec ->> 'task' AS task, failed.error
        FROM workrow.flow_nodes AS failed
        WHERE failed.flow_id = in_flow AND failed.number = ANY(bad)
    LOOP
        verdict := workrow.return_job_v1(node.job_id, in_flow, node.number);
        IF verdict = 'blocked' THEN
            RAISE 'blocked' USING ERRCODE = 'unique_violation';
        ELSIF node.error ->> 'type' IN ('workrow.ResultNotKept', 'workrow.StockWorker') THEN
            RAISE 'never: its job % (%, node %) has succeeded, and will not run again, but its result was not kept: %',
                node.job_id, node.task, node.number, node.error ->> 'message' USING ERRCODE = 'no_data_found';
        ELSIF verdict IS NULL AND node.args IS NULL THEN
            RAISE 'never: its job % (%, node %) was deleted, and its arguments with it', node.job_id, node.task, node.number
                USING ERRCODE = 'no_data_found';
        END IF;
        untold := untold OR verdict = 'succeeded';
        UPDATE workrow.flow_nodes
        SET state = CASE WHEN verdict IS NULL THEN 'waiting' ELSE 'enqueued' END, ended_at = NULL, error = NULL
        WHERE flow_id = in_flow AND number = node.number;
    END LOOP;
    IF untold THEN
        PERFORM workrow.tell_ends_v1(in_flow);
    END IF;
    PERFORM workrow.resume_nodes_v1(in_flow);
    RETURN 'running';
EXCEPTION WHEN unique_violation THEN
    RETURN 'blocked';
WHEN no_data_found THEN
    RETURN SQLERRM;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.return_job_v1(job_id bigint, in_flow bigint, in_node integer)
 RETURNS text
 LANGUAGE plpgsql
AS $function$
BEGIN
    IF in_flow IS NOT NULL THEN
        UPDATE procrastinate_jobs SET workflow_id = in_flow, workflow_node = in_node WHERE id = job_id AND status <> 'failed';
        IF FOUND THEN
            RETURN 'queued';
        END IF;
        UPDATE workrow.history SET workflow_id = in_flow, workflow_node = in_node WHERE id = job_id AND status = 'succeeded';
        IF FOUND THEN
            RETURN 'succeeded';
        END IF;
    END IF;
    -- failed by a statement of procrastinate's first versions, and not swept yet
    PERFORM workrow.end_job_v1(job_id, ARRAY['failed']::procrastinate_job_status[], 'failed');
    WITH ended AS (
        DELETE FROM workrow.history
        WHERE id = job_id AND status IN ('failed', 'cancelled', 'aborted')
        RETURNING
            id, queue_name, task_name, priority, lock, queueing_lock, args, attempts, worker, created_at, errors, claims,
            version, unique_key, line
    )
    INSERT INTO procrastinate_jobs (
        id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker,
        created_at, errors, claims, version, unique_key, line, due_at, workflow_id, workflow_node
    )
    SELECT
        id, queue_name, task_name, priority, lock, queueing_lock, args, 'todo',
        CASE WHEN line IS NULL THEN NULL ELSE CAST('9000-01-01 00:00:00+00' AS timestamptz) END,
        attempts, worker, created_at, errors, claims, version, unique_key, line,
        CASE WHEN line IS NULL THEN NULL ELSE clock_timestamp() END,
        in_flow, in_node
    FROM ended;
    RETURN CASE WHEN found THEN 'queued' END;
EXCEPTION WHEN unique_violation THEN
    RETURN 'blocked';
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.revoke_v1(role_name text, kind text DEFAULT NULL::text)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
DECLARE
    had CONSTANT boolean := EXISTS (
        SELECT FROM pg_catalog.pg_namespace
        CROSS JOIN LATERAL aclexplode(nspacl) AS acl
        WHERE pg_namespace.oid = CAST('workrow' AS regnamespace) AND acl.grantee = to_regrole(quote_ident(revoke_v1.role_name))
    );
    given record;
BEGIN
    PERFORM workrow.check_owner_v1(revoke_v1.role_name);
    DELETE FROM workrow.granted_roles AS known
    WHERE known.role_name = revoke_v1.role_name AND known.kind = coalesce(revoke_v1.kind, known.kind);
    FOR given IN
        SELECT DISTINCT each.object_type, each.object
        FROM unnest(ARRAY['producer', 'worker', 'operator', 'viewer']) AS taken (kind)
        CROSS JOIN LATERAL workrow.privileges_v1(taken.kind) AS each
        WHERE taken.kind = coalesce(revoke_v1.kind, taken.kind)
    LOOP
        CONTINUE WHEN given.object_type = 'SCHEMA' AND NOT pg_has_role(
            (SELECT nspowner FROM pg_catalog.pg_namespace WHERE oid = CAST(given.object AS regnamespace)), 'USAGE'
        );
        -- those of columns go with those of their table
        EXECUTE format(
            'REVOKE ALL ON %s %s FROM %I',
            replace(given.object_type, 'VIEW', 'TABLE'), given.object, revoke_v1.role_name
        );
    END LOOP;
    PERFORM workrow.grant_v1(known.role_name, known.kind)
    FROM workrow.granted_roles AS known
    WHERE known.role_name = revoke_v1.role_name;
    RETURN had;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.set_limit_v1(limit_name text, limit_key text DEFAULT ''::text, max_running integer DEFAULT NULL::integer, rate_count integer DEFAULT NULL::integer, rate_seconds double precision DEFAULT NULL::double precision, rate_burst integer DEFAULT NULL::integer, weight double precision DEFAULT NULL::double precision, paused boolean DEFAULT NULL::boolean, actor text DEFAULT NULL::text, reason text DEFAULT NULL::text)
 RETURNS workrow.limit_rules
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_column
DECLARE
    changed workrow.limit_rules;
BEGIN
    IF NOT EXISTS (SELECT FROM workrow.limit_rules WHERE name = limit_name AND source = 'declared') THEN
        RAISE 'no limit is named %: see SELECT name FROM workrow.limits', limit_name USING ERRCODE = 'no_data_found';
    END IF;
    IF set_limit_v1.max_running < 0 OR set_limit_v1.rate_count < 1 OR set_limit_v1.rate_burst < 1
        OR NOT (set_limit_v1.rate_seconds > 0 AND set_limit_v1.rate_seconds < 'Infinity')
        OR NOT (set_limit_v1.weight > 0 AND set_limit_v1.weight < 'Infinity')
    THEN
        RAISE 'limit %: max_running must be 0 or more, rate_count and rate_burst 1 or more, rate_seconds and weight above 0', limit_name
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF set_limit_v1.rate_count IS NOT NULL AND set_limit_v1.rate_seconds IS NULL
        AND NOT EXISTS (SELECT FROM workrow.limit_rules AS rule WHERE rule.name = limit_name AND rule.rate_seconds IS NOT NULL)
    THEN
        RAISE 'limit % is no rate yet: rate_count needs rate_seconds', limit_name USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO workrow.limit_rules AS known (
        name, key, source, max_running, rate_count, rate_seconds, rate_burst, weight, paused, actor, reason
    )
    VALUES (
        limit_name, coalesce(limit_key, ''), 'set', set_limit_v1.max_running, set_limit_v1.rate_count, set_limit_v1.rate_seconds,
        coalesce(set_limit_v1.rate_burst, set_limit_v1.rate_count), set_limit_v1.weight, set_limit_v1.paused,
        set_limit_v1.actor, set_limit_v1.reason
    )
    ON CONFLICT (name, key, source) DO UPDATE
    SET
        max_running = coalesce(excluded.max_running, known.max_running),
        rate_count = coalesce(excluded.rate_count, known.rate_count),
        rate_seconds = coalesce(excluded.rate_seconds, known.rate_seconds),
        rate_burst = coalesce(excluded.rate_burst, known.rate_burst),
        weight = coalesce(excluded.weight, known.weight),
        paused = coalesce(excluded.paused, known.paused),
        actor = excluded.actor,
        reason = excluded.reason,
        changed_at = now()
    RETURNING * INTO changed;
    PERFORM workrow.call_limit_v1(limit_name);
    RETURN changed;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.set_queue_v1(queue text, max_depth integer, actor text DEFAULT NULL::text, reason text DEFAULT NULL::text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    IF set_queue_v1.max_depth < 1 THEN
        RAISE 'max_depth % of queue % must be at least 1; to stop a queue, pause it', set_queue_v1.max_depth, queue
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF queue = '' THEN
        RAISE 'a queue has a name' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO workrow.queue_caps AS known (queue_name, max_depth, actor, reason, set_at)
    VALUES (queue, set_queue_v1.max_depth, set_queue_v1.actor, set_queue_v1.reason, clock_timestamp())
    ON CONFLICT (queue_name) DO UPDATE
    SET max_depth = excluded.max_depth, actor = excluded.actor, reason = excluded.reason, set_at = excluded.set_at;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.settle_batches_v1(flow_ids bigint[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    batch record;
    witness integer;
BEGIN
    FOR batch IN
        SELECT root.flow_id, root.pending AS seen
        FROM workrow.flow_nodes AS root
        WHERE root.flow_id = ANY(flow_ids) AND root.number = 0 AND root.kind = 'batch' AND root.state = 'waiting'
    LOOP
        witness := workrow.open_member_v1(batch.flow_id, batch.seen);
        IF witness IS NULL THEN
            -- before the end once over all of them: numbers start anew after 2,147,483,648, and workflows that members
            -- returned have numbers of their own
            SELECT node.number INTO witness
            FROM workrow.flow_nodes AS node
            WHERE
                node.flow_id = batch.flow_id AND node.number <> 0 AND node.fires IS NULL
                AND node.state NOT IN ('succeeded', 'failed', 'cancelled', 'skipped')
            ORDER BY node.number
            LIMIT 1;
        END IF;
        IF witness IS NULL THEN
            UPDATE workrow.flow_nodes
            SET
                state = 'succeeded',
                ended_at = clock_timestamp(),
                result = jsonb_build_object('workflow_id', batch.flow_id, 'state', 'succeeded')
            WHERE flow_id = batch.flow_id AND number = 0;
        ELSIF witness < 0 AND abs(witness - batch.seen) > 100 THEN
            -- not each time: an update leaves a dead row
            UPDATE workrow.flow_nodes SET pending = witness WHERE flow_id = batch.flow_id AND number = 0;
        END IF;
    END LOOP;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.settle_lines_v1(picked text[], rooms workrow.limit_room[], left_over double precision[], served text[], how_many integer, many boolean)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
BEGIN
    WITH own AS (
        SELECT
            line.line,
            max(named.weight) AS weight,
            min(named.bucket) FILTER (WHERE named.room < 1 AND named.again_at IS NULL) AS full_one,
            max(named.again_at) FILTER (WHERE named.room < 1) AS again_at,
            bool_or(named.room < 1 AND named.again_at IS NULL) AS held,
            min(named.bucket) FILTER (WHERE named.counted) AS counted
        FROM workrow.lines AS line
        CROSS JOIN unnest(line.buckets) AS bucket
        INNER JOIN unnest(rooms, left_over) AS named (bucket, had, weight, again_at, counted, tokens, asked_at, cell, room)
            ON named.bucket = bucket.bucket
        WHERE line.line = ANY(picked)
        GROUP BY line.line
    ),

    state AS (
        SELECT
            own.line,
            following.priority,
            own.full_one AS bucket,
            CASE WHEN NOT own.held THEN own.again_at END AS again_at,
            coalesce(had.n, 0) / own.weight AS step,
            own.counted
        FROM own
        LEFT JOIN (SELECT each, count(*) AS n FROM unnest(served) AS each GROUP BY each) AS had ON had.each = own.line
        LEFT JOIN LATERAL (
            SELECT job.priority
            FROM procrastinate_jobs AS job
            WHERE job.status = 'todo' AND job.line = own.line AND job.due_at IS NULL
            ORDER BY job.priority DESC
            LIMIT 1
        ) AS following ON true
    ),

    gone AS (
        DELETE FROM workrow.lines WHERE line = ANY(ARRAY(SELECT state.line FROM state WHERE state.priority IS NULL))
    )

    UPDATE workrow.lines AS line
    SET
        priority = state.priority,
        turn = line.turn + state.step,
        blocked_on = CASE
            WHEN state.again_at IS NOT NULL OR state.step > 0 AND many THEN NULL
            WHEN state.bucket IS NOT NULL THEN state.bucket
            WHEN state.step = 0 AND coalesce(cardinality(served), 0) < how_many THEN 'locks of ' || state.counted
        END,
        wake_at = CASE
            WHEN state.again_at IS NOT NULL THEN state.again_at
            -- a call that was lost (a worker died with it) is made up for
            WHEN state.bucket IS NOT NULL AND NOT (state.step > 0 AND many) THEN clock_timestamp() + (30 + 30 * random()) * INTERVAL '1 second'
            -- all that could run is behind locks, perhaps of others' jobs
            WHEN state.step = 0 AND coalesce(cardinality(served), 0) < how_many THEN clock_timestamp() + INTERVAL '0.2 seconds'
        END
    FROM state
    WHERE line.line = state.line AND state.priority IS NOT NULL;

    PERFORM workrow.wake_lines_v1(
        array_agg(each.bucket), array_agg(CAST(least(each.room, 1000) AS integer))
    )
    FROM unnest(rooms, left_over) AS each (bucket, had, weight, again_at, counted, tokens, asked_at, cell, room)
    WHERE each.room >= 1
    HAVING count(*) > 0;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.settle_workflows_v1(flow_ids bigint[])
 RETURNS void
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
DECLARE
    flow record;
    verdict text;
    undone integer;
BEGIN
    PERFORM workrow.settle_batches_v1(flow_ids);
    FOR flow IN
        SELECT each.id, each.state, each.on_failure, each.failed_node, each.callbacks, each.root
        FROM workrow.flows AS each
        INNER JOIN workrow.flow_nodes AS root ON root.flow_id = each.id AND root.number = each.root
        WHERE
            each.id = ANY(flow_ids)
            AND each.ended_at IS NULL
            AND (
                each.state = 'running' AND root.state IN ('succeeded', 'failed', 'cancelled', 'skipped')
                OR each.state <> 'running' AND NOT EXISTS (
                    SELECT
                    FROM workrow.flow_nodes AS node
                    WHERE
                        node.flow_id = each.id
                        AND node.state = 'enqueued'
                        AND coalesce(node.fires = 'undo', true)
                )
            )
    LOOP
        IF flow.state = 'stopping' AND flow.on_failure = 'compensate' THEN
            UPDATE workrow.flows SET state = 'compensating' WHERE id = flow.id;
            CONTINUE WHEN workrow.compensate_v1(flow.id);
        END IF;
        verdict := CASE
            WHEN flow.state = 'cancelling' THEN 'cancelled'
            WHEN flow.failed_node IS NOT NULL THEN 'failed'
            ELSE 'succeeded'
        END;
        UPDATE workrow.flows SET state = verdict, ended_at = clock_timestamp(), paused = false WHERE id = flow.id;
        UPDATE workrow.flow_nodes AS node
        SET
            state = CASE WHEN node.fires IN ('end', due.word) THEN 'waiting' ELSE 'skipped' END,
            -- what it is given: the first failure, or the workflow's value (or how it has ended, see advance_nodes_v1)
            takes = (
                SELECT jsonb_object_agg(name, CASE WHEN node.fires = 'failure' THEN flow.failed_node ELSE flow.root END)
                FROM jsonb_object_keys(node.takes) AS name
            )
        FROM (SELECT CASE verdict WHEN 'succeeded' THEN 'success' WHEN 'failed' THEN 'failure' END AS word) AS due
        WHERE node.flow_id = flow.id AND node.number = ANY(flow.callbacks);
        PERFORM workrow.advance_nodes_v1(array_agg(node.flow_id), array_agg(node.number), array_agg(1))
        FROM workrow.flow_nodes AS node
        WHERE node.flow_id = flow.id AND node.number = ANY(flow.callbacks) AND node.state = 'waiting'
        HAVING count(*) > 0;
    END LOOP;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.signal_v1(job_id bigint, name text, value jsonb DEFAULT NULL::jsonb)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    job procrastinate_jobs;
BEGIN
    -- it may come and go between the look and the lock
    FOR _ IN 1..10 LOOP
        SELECT * INTO job FROM procrastinate_jobs AS own WHERE own.id = signal_v1.job_id;
        EXIT WHEN NOT FOUND OR job.status NOT IN ('todo', 'doing');
        IF job.status = 'doing' THEN
            PERFORM FROM procrastinate_jobs AS own WHERE own.id = signal_v1.job_id AND own.status = 'doing' FOR SHARE;
        ELSE
            SELECT * INTO job
            FROM procrastinate_jobs AS own
            WHERE own.id = signal_v1.job_id AND own.status = 'todo'
            FOR NO KEY UPDATE;
        END IF;
        CONTINUE WHEN NOT FOUND;
        INSERT INTO workrow.job_signals (job_id, name, value) VALUES (signal_v1.job_id, signal_v1.name, signal_v1.value);
        IF job.status = 'todo' AND EXISTS (
            SELECT FROM workrow.job_steps AS step
            WHERE
                step.job_id = signal_v1.job_id AND step.signal = signal_v1.name AND step.ended_at IS NULL
                AND step.token = job.claims
        ) THEN
            PERFORM workrow.wake_job_v1(job.id, job.claims);
        END IF;
        RETURN 'sent';
    END LOOP;
    RETURN (SELECT 'ended' FROM workrow.all_jobs AS own WHERE own.id = signal_v1.job_id LIMIT 1);
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.stamp_job_times_v1()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    IF NEW.status = 'doing' THEN
        NEW.started_at := clock_timestamp();
    END IF;
    IF NEW.status IN ('succeeded', 'failed', 'cancelled', 'aborted') THEN
        NEW.finished_at := clock_timestamp();
    ELSE
        NEW.finished_at := NULL;
    END IF;
    RETURN NEW;
END
$function$
;

CREATE OR REPLACE FUNCTION workrow.start_workflow_v1(flow jsonb, nodes jsonb, queues jsonb)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    new_id bigint;
BEGIN
    IF EXISTS (
        SELECT
        FROM jsonb_each_text(queues) AS wanted (queue_name, jobs)
        INNER JOIN workrow.queue_caps AS cap ON cap.queue_name = wanted.queue_name
        WHERE workrow.queue_is_full_v1(wanted.queue_name, CAST(wanted.jobs AS integer))
    ) THEN
        RETURN NULL;
    END IF;
    INSERT INTO workrow.flows (name, on_failure, root, size, callbacks)
    SELECT given.name, given.on_failure, given.root, given.size, given.callbacks
    FROM jsonb_to_record(flow) AS given (name text, on_failure text, root integer, size integer, callbacks integer[])
    RETURNING id INTO new_id;
    PERFORM workrow.add_nodes_v1(new_id, nodes, NULL);
    RETURN new_id;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.stop_workflows_v1(flow_ids bigint[], numbers integer[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    stopped bigint;
BEGIN
    FOR stopped IN
        UPDATE workrow.flows AS flow
        SET
            failed_node = coalesce(flow.failed_node, failed.number),
            on_failure = CASE WHEN failed.policy = 'continue' THEN flow.on_failure ELSE failed.policy END,
            state = CASE WHEN failed.policy <> 'continue' AND flow.state = 'running' THEN 'stopping' ELSE flow.state END
        FROM (
            SELECT DISTINCT ON (node.flow_id) node.flow_id, node.number, coalesce(node.on_failure, whole.on_failure) AS policy
            FROM unnest(flow_ids, numbers) AS given (flow_id, number)
            INNER JOIN workrow.flow_nodes AS node ON node.flow_id = given.flow_id AND node.number = given.number
            INNER JOIN workrow.flows AS whole ON whole.id = given.flow_id
            WHERE node.state IN ('failed', 'cancelled') AND node.fires IS NULL
            -- one that is not to go on says what the others do
            ORDER BY node.flow_id, coalesce(node.on_failure, whole.on_failure) = 'continue', node.number
        ) AS failed
        WHERE flow.id = failed.flow_id AND flow.ended_at IS NULL
        RETURNING CASE WHEN flow.state = 'stopping' THEN flow.id END
    LOOP
        IF stopped IS NOT NULL THEN
            PERFORM workrow.cancel_node_jobs_v1(stopped, 1000);
        END IF;
    END LOOP;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.supersede_job_v1(job_id bigint, error jsonb DEFAULT NULL::jsonb)
 RETURNS bigint
 LANGUAGE plpgsql
AS $function$
DECLARE
    key text;
    newer bigint;
BEGIN
    UPDATE procrastinate_jobs
    SET
        attempts = least(attempts, 2147483646) + CAST(error IS NOT NULL AS integer),
        errors = CASE WHEN error IS NULL THEN errors ELSE coalesce(errors, '[]') || error END
    WHERE id = job_id
    RETURNING queueing_lock INTO key;
    SELECT id INTO newer FROM procrastinate_jobs WHERE status = 'todo' AND queueing_lock = key;
    RETURN workrow.end_job_v2(
        job_id,
        ARRAY['todo', 'doing']::procrastinate_job_status[],
        'cancelled',
        (
            SELECT jsonb_build_object(
                'attempt', job.attempts,
                'at', clock_timestamp(),
                'type', 'workrow.Superseded',
                'message', format('job %s waits under the same queueing lock %s', coalesce(newer, 0), key),
                'traceback', NULL,
                'discarded', true
            )
            FROM procrastinate_jobs AS job
            WHERE job.id = job_id
        ),
        NULL
    );
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.suspend_job_v1(job_id bigint, owner bigint, token integer, waits jsonb, progress jsonb, patient boolean)
 RETURNS text
 LANGUAGE plpgsql
AS $function$
DECLARE
    job procrastinate_jobs;
    wake timestamptz;
    moment timestamptz;
BEGIN
    IF patient THEN
        SELECT * INTO job
        FROM procrastinate_jobs AS own
        WHERE own.id = suspend_job_v1.job_id AND own.status = 'doing' AND own.worker_id = owner AND own.claims = suspend_job_v1.token
        FOR NO KEY UPDATE;
    ELSE
        SELECT * INTO job
        FROM procrastinate_jobs AS own
        WHERE own.id = suspend_job_v1.job_id AND own.status = 'doing' AND own.worker_id = owner AND own.claims = suspend_job_v1.token
        FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF job.abort_requested THEN
        RETURN 'aborting';
    ELSIF job.queueing_lock IS NOT NULL AND EXISTS (
        SELECT FROM procrastinate_jobs AS newer WHERE newer.status = 'todo' AND newer.queueing_lock = job.queueing_lock
    ) THEN
        RETURN 'superseded';
    END IF;
    INSERT INTO workrow.job_steps AS known (job_id, name, kind, token, due_at, signal)
    SELECT job.id, wait.name, wait.kind, job.claims, clock_timestamp() + wait.seconds * INTERVAL '1 second', wait.signal
    FROM jsonb_to_recordset(waits) AS wait (name text, kind text, seconds double precision, signal text)
    ORDER BY wait.name
    ON CONFLICT ON CONSTRAINT job_steps_pkey DO UPDATE SET token = excluded.token
    WHERE known.ended_at IS NULL;
    moment := clock_timestamp();
    SELECT min(
        CASE
            WHEN
                step.ended_at IS NOT NULL
                OR EXISTS (
                    SELECT FROM workrow.job_signals AS sent
                    WHERE sent.job_id = step.job_id AND sent.name = step.signal AND sent.taken_by IS NULL
                )
                THEN moment
            ELSE step.due_at
        END
    )
    INTO wake
    FROM workrow.job_steps AS step
    WHERE step.job_id = job.id AND step.name IN (SELECT each ->> 'name' FROM jsonb_array_elements(waits) AS each);
    wake := least(wake, '9000-01-01 00:00:00+00');
    UPDATE procrastinate_jobs AS own
    SET
        status = 'todo',
        worker_id = NULL,
        -- it has started in time
        expires_at = NULL,
        scheduled_at = CASE WHEN own.line IS NULL AND own.held_at IS NULL THEN wake ELSE '9000-01-01 00:00:00+00' END,
        due_at = CASE WHEN own.line IS NULL THEN NULL WHEN own.held_at IS NULL THEN wake ELSE '9000-01-01 00:00:00+00' END,
        held_at = CASE WHEN own.held_at IS NOT NULL THEN wake END,
        staged_at = NULL,
        progress = coalesce(suspend_job_v1.progress || jsonb_build_object('at', clock_timestamp()), own.progress)
    WHERE own.id = job.id;
    IF wake <= moment THEN
        PERFORM workrow.wake_job_v1(job.id, job.claims);
    END IF;
    RETURN 'waits';
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.sweep_calls_v1()
 RETURNS integer
 LANGUAGE sql
AS $function$
    WITH lost AS (
        UPDATE workrow.job_steps AS step
        SET
            ended_at = clock_timestamp(),
            unwoken = true,
            error = jsonb_build_object('status', 'deleted', 'task', step.name, 'attempts', 0)
        WHERE
            step.child_id IS NOT NULL
            AND step.ended_at IS NULL
            AND step.noted_at < clock_timestamp() - INTERVAL '1 minute'
            AND NOT EXISTS (SELECT FROM procrastinate_jobs AS live WHERE live.id = step.child_id)
            AND NOT EXISTS (SELECT FROM workrow.history AS ended WHERE ended.id = step.child_id)
        RETURNING step.job_id
    )
    SELECT CAST(count(*) AS integer) FROM lost
$function$
;

CREATE OR REPLACE FUNCTION workrow.sweep_expired_v1(max_rows integer DEFAULT 1000)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
DECLARE
    stale record;
    ended integer := 0;
    error jsonb;
    patience CONSTANT text := current_setting('lock_timeout');
BEGIN
    DELETE FROM workrow.throttles
    WHERE key = ANY(ARRAY(
        SELECT idle.key
        FROM workrow.throttles AS idle
        WHERE idle.over_at < now()
        ORDER BY idle.over_at
        LIMIT max_rows
        FOR UPDATE SKIP LOCKED
    ));
    FOR stale IN
        SELECT job.id, job.expires_at, job.attempts, job.workflow_id
        FROM procrastinate_jobs AS job
        WHERE
            job.status = 'todo' AND job.expires_at IS NOT NULL AND job.expires_at <= now()
            AND CASE
                WHEN job.workflow_id IS NULL THEN true
                ELSE EXISTS (
                    SELECT FROM workrow.flows AS flow WHERE flow.id = job.workflow_id FOR NO KEY UPDATE SKIP LOCKED
                )
            END
        ORDER BY job.expires_at
        LIMIT max_rows
        FOR UPDATE SKIP LOCKED
    LOOP
        error := workrow.expiry_v1(stale.expires_at, stale.attempts);
        BEGIN
            PERFORM workrow.end_job_v2(stale.id, ARRAY['todo']::procrastinate_job_status[], 'cancelled', error, NULL);
        EXCEPTION WHEN lock_not_available THEN
            -- somebody's open transaction has the key of what follows; of others like it, each would take as long
            PERFORM set_config('lock_timeout', '2ms', true);
            CONTINUE;
        WHEN OTHERS THEN
            IF workrow.is_passing_v1(SQLSTATE) THEN
                RAISE;
            END IF;
            RAISE WARNING 'job % has expired, and cannot end: %', stale.id, SQLERRM;
            CONTINUE;
        END;
        ended := ended + 1;
    END LOOP;
    PERFORM set_config('lock_timeout', patience, true);
    RETURN ended;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.sweep_finished_v1(max_rows integer DEFAULT 1000)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
DECLARE
    part record;
    moved integer := 0;
    one bigint;
    patience CONSTANT text := current_setting('lock_timeout');
BEGIN
    FOR part IN
        SELECT ended.workflow_id, array_agg(ended.id) AS ids
        FROM (
            SELECT job.id, job.workflow_id
            FROM procrastinate_jobs AS job
            WHERE
                job.status NOT IN ('todo', 'doing')
                AND CASE
                    WHEN job.workflow_id IS NULL THEN true
                    ELSE EXISTS (
                        SELECT FROM workrow.flows AS flow WHERE flow.id = job.workflow_id FOR NO KEY UPDATE SKIP LOCKED
                    )
                END
            ORDER BY job.id
            LIMIT max_rows
            FOR UPDATE SKIP LOCKED
        ) AS ended
        GROUP BY ended.workflow_id
        ORDER BY ended.workflow_id
    LOOP
        BEGIN
            moved := moved + workrow.move_finished_v1(part.ids);
        EXCEPTION WHEN lock_not_available THEN
            -- somebody's open transaction has the key of what follows; of others like it, each would take as long
            PERFORM set_config('lock_timeout', '2ms', true);
        WHEN OTHERS THEN
            IF workrow.is_passing_v1(SQLSTATE) THEN
                RAISE;
            END IF;
            FOREACH one IN ARRAY part.ids LOOP
                BEGIN
                    moved := moved + workrow.move_finished_v1(ARRAY[one]);
                EXCEPTION WHEN OTHERS THEN
                    IF workrow.is_passing_v1(SQLSTATE) THEN
                        RAISE;
                    END IF;
                    RAISE WARNING 'job % has ended, and cannot be moved to history: %', one, SQLERRM;
                END;
            END LOOP;
        END;
    END LOOP;
    PERFORM set_config('lock_timeout', patience, true);
    RETURN moved;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.sweep_workflows_v1(after_id bigint DEFAULT 0, max_rows integer DEFAULT 100)
 RETURNS bigint
 LANGUAGE plpgsql
AS $function$
DECLARE
    flow record;
    looked integer := 0;
    patience CONSTANT text := current_setting('lock_timeout');
BEGIN
    FOR flow IN
        SELECT each.id, each.state, each.paused
        FROM workrow.flows AS each
        WHERE each.ended_at IS NULL AND each.id > after_id
        ORDER BY each.id
        LIMIT max_rows
        FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        looked := looked + 1;
        after_id := flow.id;
        BEGIN
            PERFORM workrow.tell_ends_v1(flow.id);
            IF flow.state = 'running' AND NOT flow.paused THEN
                PERFORM workrow.free_nodes_v1(flow.id, 1);
                -- which settles it, too: also a batch whose members were all rolled back to a savepoint
                PERFORM workrow.resume_nodes_v1(flow.id);
            ELSE
                IF flow.state = 'running' THEN
                    PERFORM workrow.hold_nodes_v1(flow.id, 1);
                ELSIF flow.state IN ('stopping', 'cancelling') THEN
                    PERFORM workrow.cancel_node_jobs_v1(flow.id, 5000);
                END IF;
                PERFORM workrow.settle_workflows_v1(ARRAY[flow.id]);
            END IF;
        EXCEPTION WHEN lock_not_available THEN
            -- somebody's open transaction has the key of its next job; of others like it, each would take as long
            PERFORM set_config('lock_timeout', '2ms', true);
        WHEN OTHERS THEN
            IF workrow.is_passing_v1(SQLSTATE) THEN
                RAISE;
            END IF;
            PERFORM workrow.break_workflow_v1(flow.id, NULL, SQLERRM);
        END;
    END LOOP;
    PERFORM set_config('lock_timeout', patience, true);
    RETURN CASE WHEN looked < max_rows THEN 0 ELSE after_id END;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.take_jobs_v1(owner bigint, INOUT ids bigint[], rooms workrow.limit_room[], OUT lines text[])
 RETURNS record
 LANGUAGE plpgsql
AS $function$
BEGIN
    WITH claimed AS (
        UPDATE procrastinate_jobs AS job
        SET
            status = 'doing',
            worker_id = owner,
            -- when its rate was asked: a window of these is what the rate counts
            started_at = coalesce((rooms[1]).asked_at, clock_timestamp()),
            claims = least(job.claims, 2147483646) + 1,
            scheduled_at = job.staged_at
        WHERE job.id = ANY(ARRAY(
            SELECT waiting.id
            FROM procrastinate_jobs AS waiting
            WHERE waiting.id = ANY(ids) AND waiting.status = 'todo' AND waiting.due_at IS NULL
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING job.id, job.claims, job.line
    ),

    used AS (
        SELECT bucket.bucket, claimed.id, claimed.claims
        FROM claimed
        INNER JOIN workrow.lines AS line ON line.line = claimed.line
        CROSS JOIN unnest(line.buckets) AS bucket (bucket)
    ),

    held AS (
        INSERT INTO workrow.limit_slots (bucket, job_id, token)
        SELECT used.bucket, used.id, used.claims
        FROM used
        INNER JOIN unnest(rooms) AS room ON room.bucket = used.bucket
        WHERE room.counted
    ),

    spent AS (
        UPDATE workrow.limit_buckets AS known
        SET
            tokens = room.tokens - spending.n,
            refilled_at = room.asked_at,
            cells = past.cells || room.cell,
            counts = past.counts || CAST(spending.n AS integer)
        FROM (SELECT used.bucket, count(*) AS n FROM used GROUP BY used.bucket) AS spending
        INNER JOIN unnest(rooms) AS room ON room.bucket = spending.bucket AND room.tokens IS NOT NULL
        CROSS JOIN LATERAL (
            SELECT
                coalesce(array_agg(old.number), '{}') AS cells,
                coalesce(array_agg(old.n), '{}') AS counts
            FROM workrow.limit_buckets AS former
            CROSS JOIN LATERAL unnest(former.cells, former.counts) AS old (number, n)
            WHERE former.bucket = spending.bucket AND old.number >= room.cell - 50
        ) AS past
        WHERE known.bucket = spending.bucket
    )

    SELECT array_agg(claimed.id), array_agg(claimed.line) INTO ids, lines FROM claimed;
END;
$function$
;

-- Reads the view and not the table, so that a role which may only read the views may call it.
CREATE OR REPLACE FUNCTION workrow.task_stats_v1(period interval)
RETURNS TABLE (
    task text,
    finished bigint,
    succeeded bigint,
    failed bigint,
    discarded bigint,
    cancelled bigint,
    retried bigint,
    success_rate double precision,
    processing_p50_seconds double precision,
    processing_p95_seconds double precision,
    waiting_p50_seconds double precision,
    waiting_p95_seconds double precision
)
LANGUAGE sql
STABLE
BEGIN ATOMIC
    WITH ended AS (
        SELECT
            job.task,
            job.status,
            job.discarded,
            job.attempts,
            -- no difference of times: not every two have one
            CAST(extract(EPOCH FROM job.finished_at) - extract(EPOCH FROM job.started_at) AS double precision)
                AS processing,
            CAST(extract(EPOCH FROM job.started_at)
                - extract(EPOCH FROM greatest(job.created_at, job.scheduled_at)) AS double precision) AS waiting
        FROM workrow.jobs AS job
        WHERE job.finished_at >= now() - period
    )
    SELECT
        ended.task,
        count(*) AS finished,
        count(*) FILTER (WHERE ended.status = 'succeeded') AS succeeded,
        count(*) FILTER (WHERE ended.status = 'failed') AS failed,
        count(*) FILTER (WHERE ended.discarded) AS discarded,
        count(*) FILTER (WHERE ended.status IN ('cancelled', 'aborted')) AS cancelled,
        count(*) FILTER (WHERE ended.attempts > 1) AS retried,
        CAST(count(*) FILTER (WHERE ended.status = 'succeeded') AS double precision)
        / nullif(count(*) FILTER (WHERE ended.status IN ('succeeded', 'failed')), 0) AS success_rate,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY ended.processing) FILTER (WHERE ended.status <> 'cancelled'),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY ended.processing) FILTER (WHERE ended.status <> 'cancelled'),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY ended.waiting) FILTER (WHERE ended.status <> 'cancelled'),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY ended.waiting) FILTER (WHERE ended.status <> 'cancelled')
    FROM ended
    GROUP BY ended.task;
END;

CREATE OR REPLACE FUNCTION workrow.tell_ends_v1(in_flow bigint)
 RETURNS void
 LANGUAGE sql
AS $function$
    SELECT workrow.end_nodes_v1(
        array_agg(in_flow), array_agg(lost.number), array_agg(lost.status), array_agg(lost.result), array_agg(lost.error)
    )
    FROM (
        SELECT
            node.number,
            coalesce(CAST(past.status AS text), 'cancelled') AS status,
            CAST(past.result AS text) AS result,
            CASE
                WHEN past.status IS NULL
                    THEN '{"type": "workrow.Deleted", "message": "its job was deleted", "discarded": false}'
                -- errors of earlier attempts are not its end's
                WHEN past.status <> 'succeeded' OR past.errors -> -1 ->> 'type' = 'workrow.ResultNotKept'
                    THEN CAST(past.errors -> -1 AS text)
            END AS error
        FROM (
            -- first who is lost, for hardly anybody is: to look into history for each would read all of it
            SELECT missing.number, missing.job_id
            FROM workrow.flow_nodes AS missing
            WHERE
                missing.flow_id = in_flow AND missing.state = 'enqueued'
                -- one that has ended in the live table is told of when it is swept
                AND NOT EXISTS (SELECT FROM procrastinate_jobs AS job WHERE job.id = missing.job_id)
            OFFSET 0
        ) AS node
        LEFT JOIN LATERAL (
            SELECT old.status, old.result, old.errors FROM workrow.history AS old WHERE old.id = node.job_id LIMIT 1
        ) AS past ON true
    ) AS lost
    HAVING count(*) > 0
$function$
;

CREATE OR REPLACE FUNCTION workrow.tick_call_v1(call jsonb)
 RETURNS TABLE(place integer, job_id bigint, verdict text, error text[], cap bigint[])
 LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    total CONSTANT integer := jsonb_array_length(call -> 'args');
    done jsonb;
    refused text;
    why text[];
BEGIN
    BEGIN
        SELECT jsonb_agg(to_jsonb(made)) INTO done
        FROM workrow.enqueue_once_v1(
            CASE
                WHEN call ->> 'delay' IS NULL THEN call -> 'job'
                ELSE (call -> 'job') || jsonb_build_object(
                    'scheduled_at',
                    statement_timestamp() + CAST(call ->> 'delay' AS double precision) * INTERVAL '1 second'
                )
            END,
            call -> 'rule',
            call -> 'args',
            ARRAY(SELECT key.value FROM jsonb_array_elements_text(call -> 'keys') WITH ORDINALITY AS key (value, n) ORDER BY n),
            ARRAY(SELECT line.value FROM jsonb_array_elements_text(call -> 'lines') WITH ORDINALITY AS line (value, n) ORDER BY n)
        ) AS made;
        refused := done -> 0 ->> 'verdict';
        IF refused IN ('created', 'found') THEN
            refused := NULL;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        IF workrow.is_passing_v1(SQLSTATE) THEN
            RAISE;
        END IF;
        refused := 'error';
        why := ARRAY[SQLSTATE, SQLERRM];
    END;
    IF refused IS NULL THEN
        RETURN QUERY
        SELECT made.place, made.job_id, made.verdict, CAST(NULL AS text[]), CAST(NULL AS bigint[])
        FROM jsonb_to_recordset(done) AS made (place integer, job_id bigint, verdict text)
        ORDER BY made.place;
    ELSIF total > 1 THEN
        RETURN QUERY
        SELECT CAST(one.n AS integer), alone.job_id, alone.verdict, alone.error, alone.cap
        FROM generate_series(1, total) AS one (n)
        CROSS JOIN LATERAL workrow.tick_call_v1(
            call || jsonb_build_object(
                'args', jsonb_build_array(call -> 'args' -> (one.n - 1)),
                'keys', jsonb_path_query_array(call -> 'keys', '$[$n]', jsonb_build_object('n', one.n - 1)),
                'lines', jsonb_path_query_array(call -> 'lines', '$[$n]', jsonb_build_object('n', one.n - 1))
            )
        ) AS alone
        ORDER BY one.n;
    ELSE
        RETURN QUERY
        SELECT
            1, CAST(done -> 0 ->> 'job_id' AS bigint), refused, why,
            (
                SELECT ARRAY[CAST(full_one.max_depth AS bigint), CAST(full_one.depth AS bigint)]
                FROM workrow.caps AS full_one
                WHERE
                    refused IN ('full', 'locked')
                    AND full_one.queue = call -> 'job' ->> 'queue_name'
                    AND full_one.depth + CASE
                        WHEN call ->> 'delay' IS NULL AND call -> 'job' ->> 'scheduled_at' IS NULL THEN 1
                        ELSE 0
                    END > full_one.max_depth
            );
    END IF;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.tick_schedules_v1(ticks jsonb, brief integer)
 RETURNS TABLE(name text, state text, call integer, place integer, job_id bigint, verdict text, error text[], cap bigint[])
 LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
    tick jsonb;
    made jsonb;
BEGIN
    FOR tick IN SELECT given.value FROM jsonb_array_elements(ticks) WITH ORDINALITY AS given (value, n) ORDER BY given.n LOOP
        IF tick ? 'suspect' THEN
            PERFORM set_config('lock_timeout', CAST(brief AS text), true);
        END IF;
        PERFORM FROM workrow.timetable AS known
        WHERE known.name = tick ->> 'name' AND CAST(known.xmin AS text) = tick ->> 'seen'
        FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN QUERY SELECT
                tick ->> 'name', 'moved', CAST(NULL AS integer), CAST(NULL AS integer), CAST(NULL AS bigint), CAST(NULL AS text),
                CAST(NULL AS text[]), CAST(NULL AS bigint[]);
            CONTINUE;
        END IF;
        BEGIN
            SELECT jsonb_agg(to_jsonb(each_job) || jsonb_build_object('call', given.n)) INTO made
            FROM jsonb_array_elements(tick -> 'calls') WITH ORDINALITY AS given (value, n)
            CROSS JOIN LATERAL workrow.tick_call_v1(given.value) AS each_job;
            UPDATE workrow.timetable AS known
            SET
                last_tick = greatest(known.last_tick, CAST(tick ->> 'last_tick' AS timestamptz)),
                next_due = CAST(tick ->> 'next_due' AS timestamptz),
                last_due = coalesce(latest.due, known.last_due),
                last_job_id = coalesce(latest.job_id, known.last_job_id),
                skipped = known.skipped + CAST(tick ->> 'skipped' AS bigint),
                last_skipped = coalesce(CAST(tick ->> 'last_skipped' AS timestamptz), known.last_skipped),
                skip_reason = coalesce(tick ->> 'skip_reason', known.skip_reason)
            FROM (VALUES (1)) AS always (one)
            LEFT JOIN LATERAL (
                SELECT
                    CAST(given.value -> 'due' ->> (CAST(job ->> 'place' AS integer) - 1) AS timestamptz) AS due,
                    CAST(job ->> 'job_id' AS bigint) AS job_id
                FROM jsonb_array_elements(made) AS job
                INNER JOIN jsonb_array_elements(tick -> 'calls') WITH ORDINALITY AS given (value, n)
                    ON given.n = CAST(job ->> 'call' AS bigint)
                WHERE job ->> 'verdict' = 'created' OR job ->> 'verdict' = 'found' AND given.value ? 'found_counts'
                ORDER BY due DESC
                LIMIT 1
            ) AS latest ON true
            WHERE known.name = tick ->> 'name';
        EXCEPTION WHEN serialization_failure OR deadlock_detected OR lock_not_available THEN
            made := NULL;
            PERFORM set_config('lock_timeout', CAST(brief AS text), true);
            RETURN QUERY SELECT
                tick ->> 'name', 'held', CAST(NULL AS integer), CAST(NULL AS integer), CAST(NULL AS bigint), CAST(NULL AS text),
                CAST(NULL AS text[]), CAST(NULL AS bigint[]);
            CONTINUE;
        END;
        RETURN QUERY
        SELECT tick ->> 'name', 'done', job.call, job.place, job.job_id, job.verdict, job.error, job.cap
        FROM (VALUES (1)) AS always (one)
        LEFT JOIN jsonb_to_recordset(made) AS job (
            call integer, place integer, job_id bigint, verdict text, error text[], cap bigint[]
        ) ON true;
    END LOOP;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.unblock_nodes_v1(flow_ids bigint[], numbers integer[], statuses text[], results text[], errors text[])
 RETURNS void
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
DECLARE
    flows bigint[] := ARRAY(SELECT DISTINCT each.id FROM unnest(flow_ids) AS each (id));
    bad boolean;
    calling boolean;
    expanding boolean;
    hit_flows bigint[];
    hit_numbers integer[];
    hit_times integer[];
BEGIN
    PERFORM FROM workrow.flows AS flow WHERE flow.id = ANY(flows) ORDER BY flow.id FOR NO KEY UPDATE;
    expanding := EXISTS (
        SELECT FROM workrow.flow_nodes AS node WHERE node.flow_id = ANY(flows) AND node.number >= 10000000
    );
    WITH ended AS (
        UPDATE workrow.flow_nodes AS node
        SET
            state = CASE
                WHEN given.status IN ('cancelled', 'aborted') THEN 'cancelled'
                WHEN given.status <> 'succeeded' THEN 'failed'
                -- somebody needs a result that is not there
                WHEN node.kept AND node.replaced_by IS NULL AND given.error ->> 'type' IN ('workrow.ResultNotKept', 'workrow.StockWorker') THEN 'failed'
                WHEN expanding AND workrow.appended_v1(node) > 0 THEN 'expanded'
                ELSE 'succeeded'
            END,
            pending = CASE WHEN expanding AND given.status = 'succeeded' THEN workrow.appended_v1(node) ELSE 0 END,
            result = CASE
                WHEN NOT node.kept THEN NULL
                WHEN node.replaced_by IS NULL THEN CAST(given.result AS jsonb)
                ELSE workrow.value_of_node_v1(node)
            END,
            error = CASE
                -- by itself; its last error is of an earlier attempt
                WHEN
                    given.status IN ('cancelled', 'aborted')
                    AND coalesce(given.error ->> 'type', '') NOT IN ('workrow.Deleted', 'workrow.Expired')
                    THEN CASE
                        WHEN flow.state <> 'cancelling' THEN jsonb_build_object(
                            'type', 'workrow.Cancelled', 'message', 'its job was ' || given.status, 'discarded', false
                        )
                    END
                WHEN given.status <> 'succeeded' OR node.kept THEN given.error
            END,
            ended_at = clock_timestamp()
        FROM (
            SELECT each.flow_id, each.number, each.status, each.result, CAST(each.error AS jsonb) AS error
            FROM unnest(flow_ids, numbers, statuses, results, errors) AS each (flow_id, number, status, result, error)
        ) AS given
        INNER JOIN workrow.flows AS flow ON flow.id = given.flow_id
        WHERE node.flow_id = given.flow_id AND node.number = given.number AND node.state = 'enqueued'
        RETURNING
            node.flow_id, node.state, node.fires, node.dependents, node.callbacks,
            coalesce(node.on_failure, flow.on_failure) = 'continue' AS tolerated
    ),
    hits AS (
        SELECT alike.flow_id, dependent.number, CAST(sum(alike.times) AS integer) AS times
        FROM (
            -- members of a group have the same ones: to unnest each would cost a microsecond
            SELECT ended.flow_id, ended.dependents, count(*) AS times
            FROM ended
            WHERE ended.state = 'succeeded' OR ended.state <> 'expanded' AND (ended.tolerated OR ended.fires IS NOT NULL)
            GROUP BY ended.flow_id, ended.dependents
        ) AS alike
        CROSS JOIN LATERAL unnest(alike.dependents) AS dependent (number)
        GROUP BY alike.flow_id, dependent.number
    )
    SELECT
        (SELECT bool_or(ended.state NOT IN ('succeeded', 'expanded') AND ended.fires IS NULL) FROM ended),
        (SELECT bool_or(ended.callbacks IS NOT NULL AND ended.state <> 'expanded') FROM ended),
        array_agg(hits.flow_id), array_agg(hits.number), array_agg(hits.times)
    INTO bad, calling, hit_flows, hit_numbers, hit_times
    FROM hits;
    IF bad THEN
        PERFORM workrow.stop_workflows_v1(flow_ids, numbers);
    END IF;
    IF expanding THEN
        UPDATE workrow.flow_nodes AS appended
        SET dependents = ARRAY[node.number]
        FROM workrow.flow_nodes AS node
        WHERE
            node.flow_id = ANY(flows)
            AND node.state = 'expanded'
            AND appended.flow_id = node.flow_id
            AND appended.number >= 10000000
            AND appended.appended_to = node.number
            AND appended.state NOT IN ('succeeded', 'skipped');
        -- what was appended may have ended in the same statement
        WITH counted AS (
            UPDATE workrow.flow_nodes AS node
            SET pending = workrow.appended_v1(node)
            FROM unnest(flow_ids, numbers) AS given (flow_id, number)
            WHERE node.flow_id = given.flow_id AND node.number = given.number AND node.state = 'expanded'
            RETURNING node.flow_id, node.number, node.pending
        )
        SELECT
            hit_flows || array_agg(counted.flow_id), hit_numbers || array_agg(counted.number), hit_times || array_agg(0)
        INTO hit_flows, hit_numbers, hit_times
        FROM counted
        WHERE counted.pending = 0;
    END IF;
    PERFORM workrow.advance_nodes_v1(hit_flows, hit_numbers, hit_times);
    IF calling THEN
        PERFORM workrow.call_back_v1(flow_ids, numbers);
    END IF;
    PERFORM workrow.settle_workflows_v1(flows);
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.value_of_node_v1(node workrow.flow_nodes)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
    SELECT
        CASE
            WHEN node.kind = 'gather' THEN (
                SELECT coalesce(jsonb_agg(coalesce(giver.result, 'null') ORDER BY parent.place), '[]')
                FROM unnest(node.parents) WITH ORDINALITY AS parent (number, place)
                INNER JOIN workrow.flow_nodes AS giver ON giver.flow_id = node.flow_id AND giver.number = parent.number
            )
            WHEN node.kind = 'object' THEN (
                SELECT
                    coalesce(
                        jsonb_object_agg(node.args ->> CAST(parent.place - 1 AS integer), coalesce(giver.result, 'null')), '{}'
                    )
                FROM unnest(node.parents) WITH ORDINALITY AS parent (number, place)
                INNER JOIN workrow.flow_nodes AS giver ON giver.flow_id = node.flow_id AND giver.number = parent.number
            )
            -- a task that others were appended to, or that another workflow took the place of
            WHEN node.replaced_by IS NULL THEN node.result
            ELSE (
                SELECT other.result
                FROM workrow.flow_nodes AS other
                WHERE other.flow_id = node.flow_id AND other.number = node.replaced_by
            )
        END
$function$
;

CREATE OR REPLACE FUNCTION workrow.wake_job_v1(job_id bigint, token integer)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
DECLARE
    job procrastinate_jobs;
    moment CONSTANT timestamptz := clock_timestamp();
BEGIN
    SELECT * INTO job
    FROM procrastinate_jobs
    WHERE id = job_id AND status = 'todo' AND claims = token
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NOT EXISTS (SELECT FROM procrastinate_jobs WHERE id = job_id AND status = 'todo' AND claims = token);
    END IF;
    IF job.held_at IS NOT NULL THEN
        UPDATE procrastinate_jobs SET held_at = '1970-01-01 00:00:00+00' WHERE id = job_id;
        RETURN true;
    END IF;
    IF job.line IS NULL THEN
        UPDATE procrastinate_jobs
        SET scheduled_at = moment, staged_at = moment
        WHERE id = job_id AND staged_at IS DISTINCT FROM scheduled_at;
    ELSE
        UPDATE procrastinate_jobs SET due_at = NULL, staged_at = moment WHERE id = job_id AND due_at IS NOT NULL;
        IF FOUND THEN
            INSERT INTO workrow.line_arrivals (line, priority) VALUES (job.line, job.priority);
        END IF;
    END IF;
    IF FOUND THEN
        PERFORM workrow.notify_queue_v1(job.queue_name, 'job_inserted', job_id);
    END IF;
    RETURN true;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.wake_lines_v1(names text[], counts integer[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
BEGIN
    UPDATE workrow.lines
    SET
        blocked_on = NULL,
        wake_at = NULL,
        turn = greatest(turn, (SELECT last_value FROM workrow.line_turns) / 1000.0)
    WHERE line IN (
        SELECT first.line
        FROM unnest(names, counts) AS each (bucket, n)
        CROSS JOIN LATERAL (
            SELECT blocked.line
            FROM workrow.lines AS blocked
            WHERE blocked.blocked_on = each.bucket
            ORDER BY blocked.priority DESC, blocked.turn
            LIMIT each.n
            FOR UPDATE SKIP LOCKED
        ) AS first
    );
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.wake_missed_v1()
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
DECLARE
    woken integer;
BEGIN
    WITH missed AS (
        SELECT step.job_id, step.name, step.token
        FROM workrow.job_steps AS step
        WHERE step.unwoken
        ORDER BY step.job_id
        LIMIT 1000
        FOR UPDATE SKIP LOCKED
    )
    UPDATE workrow.job_steps AS step
    SET unwoken = false
    FROM missed
    WHERE step.job_id = missed.job_id AND step.name = missed.name AND workrow.wake_job_v1(missed.job_id, missed.token);
    GET DIAGNOSTICS woken = ROW_COUNT;
    RETURN woken;
END;
$function$
;

CREATE OR REPLACE FUNCTION workrow.with_error_v1(errors jsonb, entry jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
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
$function$
;

-- Live table and history under the live table's column names: what procrastinate's own queries read through our app.
CREATE OR REPLACE VIEW workrow.all_jobs AS
SELECT
    id, queue_name, task_name, priority, lock, queueing_lock, coalesce(
    (
        SELECT
            CASE
                WHEN bool_or(hidden.name = '*') OR jsonb_typeof(job.args) <> 'object' THEN CAST('{"***": "***"}' AS jsonb)
                ELSE job.args || coalesce(
                    jsonb_object_agg(hidden.name, '***') FILTER (WHERE jsonb_exists(job.args, hidden.name)), CAST('{}' AS jsonb)
                )
            END
        FROM workrow.hidden_arguments AS hidden
        WHERE hidden.task_name = job.task_name AND hidden.name <> 'return'
        HAVING count(*) > 0
    ),
    job.args
) AS args, status,
    CASE WHEN line IS NULL OR status <> 'todo' THEN scheduled_at ELSE due_at END AS scheduled_at, attempts,
    abort_requested, worker_id
FROM procrastinate_jobs AS job
UNION ALL
SELECT
    id, queue_name, task_name, priority, lock, queueing_lock, coalesce(
    (
        SELECT
            CASE
                WHEN bool_or(hidden.name = '*') OR jsonb_typeof(job.args) <> 'object' THEN CAST('{"***": "***"}' AS jsonb)
                ELSE job.args || coalesce(
                    jsonb_object_agg(hidden.name, '***') FILTER (WHERE jsonb_exists(job.args, hidden.name)), CAST('{}' AS jsonb)
                )
            END
        FROM workrow.hidden_arguments AS hidden
        WHERE hidden.task_name = job.task_name AND hidden.name <> 'return'
        HAVING count(*) > 0
    ),
    job.args
) AS args, status, scheduled_at, attempts,
    false AS abort_requested, worker_id
FROM workrow.history AS job;

-- The depth is ready_depth_v1's, written out: a function would ask with the rights of whoever looks.
CREATE OR REPLACE VIEW workrow.caps AS
SELECT
    cap.queue_name AS queue,
    coalesce(cap.max_depth, cap.declared_depth) AS max_depth,
    cap.declared_depth,
    (
        SELECT count(*)
        FROM (
            (
                SELECT 1
                FROM procrastinate_jobs AS job
                WHERE
                    job.status = 'todo' AND (job.scheduled_at IS NULL OR job.staged_at = job.scheduled_at)
                    AND job.lock IS NULL
                    AND job.queue_name = cap.queue_name
                LIMIT least(coalesce(cap.max_depth, cap.declared_depth), 2147483646) + 1
            )
            UNION ALL
            (
                SELECT 1
                FROM procrastinate_jobs AS job
                WHERE
                    job.status = 'todo'
                    AND (job.lock IS NOT NULL OR job.line IS NOT NULL)
                    AND job.queue_name = cap.queue_name
                    AND CASE
                        WHEN job.line IS NULL THEN job.status = 'todo' AND (job.scheduled_at IS NULL OR job.staged_at = job.scheduled_at)
                        ELSE job.due_at IS NULL
                    END
                LIMIT least(coalesce(cap.max_depth, cap.declared_depth), 2147483646) + 1
            )
            LIMIT least(coalesce(cap.max_depth, cap.declared_depth), 2147483646) + 1
        ) AS waiting
    ) AS depth,
    cap.actor,
    cap.reason,
    cap.set_at
FROM workrow.queue_caps AS cap
WHERE coalesce(cap.max_depth, cap.declared_depth) IS NOT NULL;

CREATE OR REPLACE VIEW workrow.celery_dials AS
SELECT
    task,
    percent,
    sticky_by,
    shadow,
    coalesce((SELECT switch.is_on FROM workrow.celery_bridge_switch AS switch), true) AS bridge_is_on,
    changed_at
FROM workrow.celery_bridge_dials;

CREATE OR REPLACE VIEW workrow.celery_parity AS
SELECT
    task,
    count(*) FILTER (WHERE verdict <> 'skipped') AS compared,
    count(*) FILTER (WHERE verdict = 'equal') AS equal,
    count(*) FILTER (WHERE verdict = 'result') AS other_result,
    count(*) FILTER (WHERE verdict = 'error') AS other_error,
    count(*) FILTER (WHERE verdict = 'skipped') AS skipped,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY their_seconds) FILTER (WHERE verdict <> 'skipped') AS their_seconds,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY our_seconds) FILTER (WHERE verdict <> 'skipped') AS our_seconds,
    (array_agg(why ORDER BY noted_at DESC) FILTER (WHERE verdict <> 'equal'))[1] AS last_difference,
    max(noted_at) AS last_at
FROM workrow.celery_bridge_shadows
GROUP BY task;

CREATE OR REPLACE VIEW workrow.celery_schedules AS
SELECT
    app,
    name,
    task,
    schedule,
    timezone,
    last_run_at,
    total_run_count,
    next_run_at,
    last_error,
    declared_at
FROM workrow.celery_beat;

CREATE OR REPLACE VIEW workrow.held AS
WITH open_transactions AS MATERIALIZED (
    SELECT held_lock.transactionid AS id, held_lock.pid, session.xact_start
    FROM pg_locks AS held_lock
    INNER JOIN pg_stat_activity AS session ON session.pid = held_lock.pid
    WHERE
        held_lock.locktype = 'transactionid' AND held_lock.granted
        -- ours are shorter; and who may not see when it began sees it as well
        AND coalesce(session.xact_start < clock_timestamp() - INTERVAL '1 second', true)
),

locked AS (
    -- xmax: who has locked, changed or deleted this version of the row
    SELECT 'job' AS kind, CAST(job.id AS text) AS name, holder.xact_start AS since, holder.pid
    FROM procrastinate_jobs AS job
    INNER JOIN open_transactions AS holder ON holder.id = job.xmax
    WHERE job.status = 'doing' AND job.worker_id IS NOT NULL
    UNION ALL
    SELECT 'schedule', schedule.name, greatest(holder.xact_start, schedule.next_due), holder.pid
    FROM workrow.timetable AS schedule
    INNER JOIN open_transactions AS holder ON holder.id = schedule.xmax
    WHERE schedule.paused_at IS NULL AND schedule.next_due < clock_timestamp()
    UNION ALL
    SELECT 'bucket', bucket.bucket, holder.xact_start, holder.pid
    FROM workrow.limit_buckets AS bucket
    INNER JOIN open_transactions AS holder ON holder.id = bucket.xmax
    UNION ALL
    SELECT 'worker', CAST(worker.id AS text), holder.xact_start, holder.pid
    FROM procrastinate_workers AS worker
    INNER JOIN open_transactions AS holder ON holder.id = worker.xmax
),

known AS (
    SELECT each.kind, each.name, min(each.since) AS since, max(each.pid) AS pid
    FROM (
        SELECT kind, name, since, pid FROM locked
        UNION ALL
        SELECT kind, name, since, pid FROM workrow.held_rows WHERE said_at > clock_timestamp() - INTERVAL '5 seconds'
    ) AS each
    GROUP BY each.kind, each.name
),

held AS (
    SELECT known.kind, known.name, known.since, coalesce(known.pid, writer.pid) AS pid
    FROM known
    -- a key that is not committed cannot be seen: if only one transaction writes to the table for that long, it is that
    CROSS JOIN LATERAL (
        SELECT CASE WHEN count(DISTINCT table_lock.pid) = 1 THEN min(table_lock.pid) END AS pid
        FROM pg_locks AS table_lock
        INNER JOIN pg_stat_activity AS session ON session.pid = table_lock.pid
        WHERE
            known.pid IS NULL
            AND table_lock.relation = CASE known.kind
                WHEN 'queue' THEN CAST('workrow.queue_names' AS regclass)
                ELSE CAST('procrastinate_jobs' AS regclass)
            END
            AND table_lock.mode = 'RowExclusiveLock' AND table_lock.granted
            AND session.xact_start <= known.since
    ) AS writer
)

SELECT
    held.kind,
    CASE
        WHEN
            held.kind = 'bucket'
            AND EXISTS (
                SELECT FROM workrow.hidden_arguments AS hidden
                WHERE
                    held.name ~ concat(
                        '/', CASE hidden.name WHEN '*' THEN '[^=]+' ELSE hidden.name END, '=(?!#[0-9a-f]{16}$)'
                    )
            )
            THEN concat(split_part(held.name, '=', 1), '=***')
        ELSE held.name
    END AS name,
    held.since,
    session.pid,
    session.application_name,
    session.state,
    session.xact_start AS transaction_since,
    regexp_replace(session.query, '''([^'']|'''')*(''|$)', '''...''', 'g') AS query
FROM held
LEFT JOIN pg_stat_activity AS session ON session.pid = held.pid;

CREATE OR REPLACE VIEW workrow.jobs AS
SELECT
    job.id,
    job.task_name AS task,
    job.queue_name AS queue,
    job.status,
    job.priority,
    job.lock,
    job.queueing_lock,
    coalesce(
    (
        SELECT
            CASE
                WHEN bool_or(hidden.name = '*') OR jsonb_typeof(job.args) <> 'object' THEN CAST('{"***": "***"}' AS jsonb)
                ELSE job.args || coalesce(
                    jsonb_object_agg(hidden.name, '***') FILTER (WHERE jsonb_exists(job.args, hidden.name)), CAST('{}' AS jsonb)
                )
            END
        FROM workrow.hidden_arguments AS hidden
        WHERE hidden.task_name = job.task_name AND hidden.name <> 'return'
        HAVING count(*) > 0
    ),
    job.args
) AS args,
    -- within the years that every client can read, in any zone
    CASE
        WHEN job.scheduled_at > '9999-12-30 00:00:00+00' THEN '9999-12-30 00:00:00+00'
        WHEN job.scheduled_at < '0001-01-02 00:00:00+00' THEN '0001-01-02 00:00:00+00'
        ELSE job.scheduled_at
    END AS scheduled_at,
    job.created_at,
    job.started_at,
    job.finished_at,
    job.attempts,
    coalesce(job.worker, details.name) AS worker,
    job.worker_id,
    CASE
        WHEN
            job.result IS NOT NULL
            AND EXISTS (
                SELECT FROM workrow.hidden_arguments AS hidden
                WHERE hidden.task_name = job.task_name AND hidden.name = 'return'
            )
            THEN CAST('"***"' AS jsonb)
        ELSE job.result
    END AS result,
    job.errors -> -1 ->> 'message' AS error,
    job.errors -> -1 ->> 'type' AS error_type,
    job.errors -> -1 ->> 'traceback' AS traceback,
    job.errors,
    job.status = 'failed' AND coalesce(CAST(job.errors -> -1 ->> 'discarded' AS boolean), false) AS discarded,
    job.claims,
    job.crashes,
    job.quarantine,
    job.version,
    -- a key or a line from before its argument was hidden has the value; those since have a hash
    CASE
        WHEN
            strpos(job.unique_key, '{') > 0
            AND EXISTS (
                SELECT FROM workrow.hidden_arguments AS hidden
                WHERE
                    hidden.task_name = job.task_name
                    AND (
                        strpos(job.unique_key, format('"%s":', hidden.name)) > 0 OR hidden.name = '*' OR hidden.name ~ '[^ -~]'
                    )
            )
            THEN concat(job.task_name, ':***')
        ELSE job.unique_key
    END AS unique_key,
    CASE
        WHEN job.expires_at > '9999-12-30 00:00:00+00' THEN '9999-12-30 00:00:00+00'
        WHEN job.expires_at < '0001-01-02 00:00:00+00' THEN '0001-01-02 00:00:00+00'
        ELSE job.expires_at
    END AS expires_at,
    job.progress,
    CASE
        WHEN
            job.line IS NOT NULL
            AND EXISTS (
                SELECT FROM workrow.hidden_arguments AS hidden
                WHERE
                    hidden.task_name = job.task_name
                    AND job.line ~ concat(
                        '/', CASE hidden.name WHEN '*' THEN '[^="]+' ELSE hidden.name END, '=(?!#[0-9a-f]{16}")'
                    )
            )
            THEN '***'
        ELSE job.line
    END AS line
FROM (
    SELECT
        id, task_name, queue_name, status, priority, lock, queueing_lock, args,
        CASE WHEN line IS NULL OR status <> 'todo' THEN scheduled_at ELSE coalesce(due_at, staged_at) END AS scheduled_at,
        created_at, started_at, finished_at, attempts, worker, worker_id, result, errors, claims, crashes,
        CAST(NULL AS text) AS quarantine, coalesce(version, CAST(1 AS smallint)) AS version, unique_key, expires_at,
        progress, line
    FROM procrastinate_jobs
    UNION ALL
    SELECT
        id, task_name, queue_name, status, priority, lock, queueing_lock, args, scheduled_at, created_at, started_at,
        finished_at, attempts, worker, worker_id, result, errors, claims, crashes, quarantine,
        coalesce(version, CAST(1 AS smallint)) AS version, unique_key, expires_at, progress, line
    FROM workrow.history
) AS job
LEFT JOIN workrow.worker_details AS details ON details.worker_id = job.worker_id;

CREATE OR REPLACE VIEW workrow.limits AS
WITH running AS (
    SELECT slot.bucket, count(*) AS jobs
    FROM workrow.limit_slots AS slot
    INNER JOIN procrastinate_jobs AS job ON job.id = slot.job_id AND job.status = 'doing' AND job.claims = slot.token
    GROUP BY slot.bucket
),
blocked AS (
    SELECT line.blocked_on AS bucket, count(*) AS lines
    FROM workrow.lines AS line
    WHERE line.blocked_on IS NOT NULL
    GROUP BY line.blocked_on
),
held AS (
    SELECT
        split_part(hold.bucket, '=', 1) AS name,
        substr(hold.bucket, length(split_part(hold.bucket, '=', 1)) + 2) AS key,
        max(hold.until) AS until
    FROM workrow.limit_holds AS hold
    WHERE hold.until > clock_timestamp() AND hold.held_at < clock_timestamp() + INTERVAL '1 second'
    GROUP BY hold.bucket
),
known AS (
    SELECT rule.name, rule.key FROM workrow.limit_rules AS rule
    UNION
    SELECT held.name, held.key FROM held
    UNION
    SELECT bucket.name, bucket.key
    FROM workrow.limit_buckets AS bucket
    WHERE
        bucket.bucket IN (SELECT running.bucket FROM running)
        OR bucket.bucket IN (SELECT blocked.bucket FROM blocked)
)
SELECT
    known.name,
    -- one from before the argument was hidden, of whatever task; those since are a hash
    CASE
        WHEN
            known.key !~ '^(#[0-9a-f]{16})?$'
            AND EXISTS (
                SELECT FROM workrow.hidden_arguments AS hidden
                WHERE
                    hidden.name = substring(known.name, '[^/]*$')
                    OR hidden.name = '*' AND known.name ^@ concat(replace(hidden.task_name, '=', '-'), '/')
            )
            THEN '***'
        ELSE nullif(known.key, '')
    END AS key,
    coalesce(own.max_running, every.max_running, declared.max_running) AS max_running,
    coalesce(own.rate_count, every.rate_count, declared.rate_count) AS rate_count,
    coalesce(own.rate_seconds, every.rate_seconds, declared.rate_seconds) AS rate_seconds,
    coalesce(own.rate_burst, every.rate_burst, declared.rate_burst) AS rate_burst,
    coalesce(own.weight, every.weight, 1) AS weight,
    coalesce(own.paused, every.paused, false) AS paused,
    coalesce(running.jobs, 0) AS running,
    coalesce(blocked.lines, 0) AS blocked_lines,
    coalesce(own.actor, every.actor) AS actor,
    coalesce(own.reason, every.reason) AS reason,
    coalesce(own.changed_at, every.changed_at, declared.changed_at) AS changed_at,
    held.until AS held_until
FROM known
LEFT JOIN workrow.limit_rules AS own ON own.name = known.name AND own.key = known.key AND own.source = 'set'
LEFT JOIN workrow.limit_rules AS every ON every.name = known.name AND every.key = '' AND every.source = 'set'
LEFT JOIN workrow.limit_rules AS declared
    ON declared.name = known.name AND declared.key = '' AND declared.source = 'declared'
LEFT JOIN workrow.limit_buckets AS bucket ON bucket.name = known.name AND bucket.key = known.key
LEFT JOIN held ON held.name = known.name AND held.key = known.key
LEFT JOIN running ON running.bucket = bucket.bucket
LEFT JOIN blocked ON blocked.bucket = bucket.bucket;

CREATE OR REPLACE VIEW workrow.notifications AS
SELECT
    queue.used,
    (
    pg_notification_queue_usage() < 0.75
    AND coalesce(current_setting('workrow.notify', true), '') <> 'off'
) AS notifying,
    oldest.pid,
    oldest.database,
    oldest.application_name,
    oldest.state,
    oldest.transaction_since,
    oldest.query
FROM (SELECT pg_notification_queue_usage() AS used) AS queue
LEFT JOIN LATERAL (
    SELECT
        session.pid,
        CAST(session.datname AS text) AS database,
        session.application_name,
        session.state,
        session.xact_start AS transaction_since,
        regexp_replace(session.query, '''([^'']|'''')*(''|$)', '''...''', 'g') AS query
    FROM pg_stat_activity AS session
    WHERE queue.used >= 0.5 AND session.xact_start IS NOT NULL AND session.pid <> pg_backend_pid()
    ORDER BY session.xact_start
    LIMIT 1
) AS oldest ON true;

CREATE OR REPLACE VIEW workrow.pauses AS
SELECT kind, name, actor, reason, paused_at, resumed_at, resumed_by, resume_reason
FROM workrow.pause_log;

CREATE OR REPLACE VIEW workrow.quarantine AS
SELECT
    job.id,
    job.task_name AS task,
    job.queue_name AS queue,
    job.quarantine AS cause,
    job.finished_at AS since,
    job.crashes,
    job.attempts,
    coalesce(
    (
        SELECT
            CASE
                WHEN bool_or(hidden.name = '*') OR jsonb_typeof(job.args) <> 'object' THEN CAST('{"***": "***"}' AS jsonb)
                ELSE job.args || coalesce(
                    jsonb_object_agg(hidden.name, '***') FILTER (WHERE jsonb_exists(job.args, hidden.name)), CAST('{}' AS jsonb)
                )
            END
        FROM workrow.hidden_arguments AS hidden
        WHERE hidden.task_name = job.task_name AND hidden.name <> 'return'
        HAVING count(*) > 0
    ),
    job.args
) AS args,
    job.worker,
    job.errors
FROM workrow.history AS job
WHERE job.quarantine IS NOT NULL;

-- The names of drained queues come from queue_names; the counts from the live table, which holds only todo and doing: 60 ms
-- with 500,000 jobs. Index-only scans of the partial indexes would need pages that vacuum found all-visible, which those
-- of a busy queue are not, and the age of the oldest is in no index.
CREATE OR REPLACE VIEW workrow.queues AS
WITH live_job AS (
    SELECT
        queue_name, status, created_at,
        CASE WHEN line IS NULL OR status <> 'todo' THEN scheduled_at ELSE due_at END AS scheduled_at
    FROM procrastinate_jobs
),

live AS (
    SELECT
        queue_name AS queue,
        count(*) FILTER (WHERE status = 'todo') AS depth,
        count(*) FILTER (WHERE status = 'todo' AND coalesce(scheduled_at <= now(), true)) AS ready,
        count(*) FILTER (WHERE status = 'todo' AND scheduled_at > now()) AS scheduled,
        count(*) FILTER (WHERE status = 'doing') AS running,
        min(greatest(created_at, scheduled_at)) FILTER (
            WHERE status = 'todo' AND coalesce(scheduled_at <= now(), true)
        ) AS oldest_ready_at
    FROM live_job
    GROUP BY queue_name
)
SELECT
    CAST(coalesce(live.queue, known.name) AS varchar(128)) AS queue,
    coalesce(live.depth, 0) AS depth,
    coalesce(live.ready, 0) AS ready,
    coalesce(live.scheduled, 0) AS scheduled,
    coalesce(live.running, 0) AS running,
    live.oldest_ready_at,
    CAST(extract(EPOCH FROM now()) - extract(EPOCH FROM live.oldest_ready_at) AS double precision) AS oldest_ready_seconds
FROM live
FULL JOIN workrow.queue_names AS known ON known.name = live.queue;

-- args as in sql/fragments/shown_args.sql.
-- name and last_tick stay plain columns, so that the view can be written to as version 3's workers do.
CREATE OR REPLACE VIEW workrow.schedules AS
SELECT
    name,
    task,
    CASE WHEN dynamic THEN 'dynamic' ELSE 'declared' END AS source,
    cron,
    every,
    timezone,
    coalesce(
        (
            SELECT
                CASE
                    WHEN bool_or(hidden.name = '*') OR jsonb_typeof(timetable.args) <> 'object' THEN CAST('{"***": "***"}' AS jsonb)
                    ELSE timetable.args || coalesce(
                        jsonb_object_agg(hidden.name, '***') FILTER (WHERE jsonb_exists(timetable.args, hidden.name)), CAST('{}' AS jsonb)
                    )
                END
            FROM workrow.hidden_arguments AS hidden
            WHERE hidden.task_name = timetable.task AND hidden.name <> 'return'
            HAVING count(*) > 0
        ),
        timetable.args
    ) AS args,
    queue,
    priority,
    missed,
    catch_up,
    max_late,
    overlap,
    jitter,
    CASE WHEN paused_at IS NULL THEN next_due END AS next_due_at,
    last_due AS last_due_at,
    last_job_id,
    last_tick,
    skipped,
    last_skipped AS last_skipped_at,
    skip_reason,
    paused_at,
    paused_by,
    pause_reason,
    coalesce(
        CASE
            WHEN dynamic THEN paused_at IS NULL AND next_due < now() - INTERVAL '5 minutes'
            ELSE declared_at IS NULL OR declared_at < now() - INTERVAL '5 minutes'
        END,
        false
    ) AS orphaned,
    created_at
FROM workrow.timetable;

CREATE OR REPLACE VIEW workrow.steps AS
SELECT
    step.job_id,
    job.task_name AS task,
    job.queue_name AS queue,
    step.name,
    step.kind,
    CASE
        WHEN step.error ->> 'type' = 'workrow.SignalTimeout' THEN 'timed out'
        WHEN step.error ->> 'status' <> 'succeeded' THEN 'failed'
        WHEN step.ended_at IS NOT NULL OR step.kind = 'sleep' AND step.due_at <= clock_timestamp() THEN 'done'
        WHEN job.status IN ('todo', 'doing') THEN 'waiting'
        ELSE 'left'
    END AS state,
    step.noted_at,
    -- within the years that every client can read, in any zone
    CASE
        WHEN step.due_at > '9999-12-30 00:00:00+00' THEN '9999-12-30 00:00:00+00'
        WHEN step.due_at < '0001-01-02 00:00:00+00' THEN '0001-01-02 00:00:00+00'
        ELSE step.due_at
    END AS due_at,
    step.signal,
    step.child_id,
    step.ended_at,
    CASE
        WHEN
            step.result IS NOT NULL
            AND EXISTS (SELECT FROM workrow.hidden_arguments AS hidden WHERE hidden.task_name = job.task_name)
            THEN CAST('"***"' AS jsonb)
        ELSE step.result
    END AS result,
    step.error ->> 'message' AS error,
    step.error ->> 'type' AS error_type
FROM workrow.job_steps AS step
INNER JOIN LATERAL (
    SELECT live.task_name, live.queue_name, live.status FROM procrastinate_jobs AS live WHERE live.id = step.job_id
    UNION ALL
    SELECT ended.task_name, ended.queue_name, ended.status FROM workrow.history AS ended WHERE ended.id = step.job_id
) AS job ON true;

CREATE OR REPLACE VIEW workrow.tasks AS
SELECT
    stats.task,
    past."window",
    stats.finished,
    stats.succeeded,
    stats.failed,
    stats.discarded,
    stats.cancelled,
    stats.retried,
    stats.success_rate,
    stats.processing_p50_seconds,
    stats.processing_p95_seconds,
    stats.waiting_p50_seconds,
    stats.waiting_p95_seconds
FROM (VALUES ('5 minutes'), ('1 hour'), ('24 hours')) AS past ("window")
CROSS JOIN LATERAL workrow.task_stats_v1(CAST(past."window" AS interval)) AS stats;

-- A stock worker does not say what it knows, and fails what it does not: while one lives, it is counted as knowing nothing.
CREATE OR REPLACE VIEW workrow.unroutable AS
SELECT
    job.task_name AS task,
    job.queue_name AS queue,
    count(*) AS jobs,
    min(job.created_at) AS oldest_created_at
FROM procrastinate_jobs AS job
WHERE
    job.status = 'todo'
    AND NOT EXISTS (
        SELECT
        FROM workrow.workers AS worker
        WHERE
            worker.alive
            AND job.task_name = ANY(worker.tasks)
            AND (worker.queues IS NULL OR job.queue_name = ANY(worker.queues))
    )
GROUP BY job.task_name, job.queue_name;

CREATE OR REPLACE VIEW workrow.workers AS
SELECT
    worker.id,
    details.name,
    details.host,
    details.pid,
    details.queues,
    details.concurrency,
    details.version,
    details.started_at,
    -- -infinity, which clients cannot read: its end was seen
    CASE WHEN isfinite(worker.last_heartbeat) THEN worker.last_heartbeat END AS last_heartbeat,
    CAST(
        extract(EPOCH FROM now() - CASE WHEN isfinite(worker.last_heartbeat) THEN worker.last_heartbeat END)
        AS double precision
    ) AS heartbeat_age_seconds,
    worker.last_heartbeat > now() - coalesce(details.lease, INTERVAL '30 seconds')
    -- one from the future is from before a step of the server's clock
    AND worker.last_heartbeat < now() + coalesce(details.lease, INTERVAL '30 seconds') AS alive,
    (SELECT count(*) FROM procrastinate_jobs AS job WHERE job.worker_id = worker.id AND job.status = 'doing') AS running,
    CAST(extract(EPOCH FROM coalesce(details.lease, INTERVAL '30 seconds')) AS double precision) AS lease_seconds,
    details.tasks,
    details.refused,
    details.stopping_at
FROM procrastinate_workers AS worker
LEFT JOIN workrow.worker_details AS details ON details.worker_id = worker.id;

CREATE OR REPLACE VIEW workrow.workflow_nodes AS
SELECT
    node.flow_id AS workflow_id,
    node.number AS node,
    coalesce(node.name, node.spec ->> 'task') AS name,
    node.kind,
    node.fires,
    node.spec ->> 'task' AS task,
    node.spec ->> 'queue' AS queue,
    CASE
        WHEN node.state IN ('waiting', 'ready') AND flow.ended_at IS NOT NULL THEN 'cancelled'
        WHEN node.state = 'enqueued' AND job.status = 'doing' THEN 'running'
        ELSE node.state
    END AS state,
    node.job_id,
    coalesce(node.parents, '{}') AS parents,
    CASE WHEN node.state = 'waiting' AND flow.ended_at IS NULL THEN coalesce(unfinished.numbers, '{}') END AS waits_for,
    job.attempts,
    job.progress,
    node.error ->> 'type' AS error_type,
    node.error ->> 'message' AS error,
    node.ended_at,
    node.appended_to
FROM workrow.flow_nodes AS node
INNER JOIN workrow.flows AS flow ON flow.id = node.flow_id
LEFT JOIN procrastinate_jobs AS job ON job.id = node.job_id
LEFT JOIN LATERAL (
    SELECT array_agg(parent.number ORDER BY parent.number) AS numbers
    FROM unnest(node.parents) AS given (number)
    INNER JOIN workrow.flow_nodes AS parent ON parent.flow_id = node.flow_id AND parent.number = given.number
    WHERE parent.state NOT IN ('succeeded', 'skipped')
) AS unfinished ON node.state = 'waiting'
WHERE node.kind <> 'stripe';

CREATE OR REPLACE VIEW workrow.workflows AS
SELECT
    flow.id,
    flow.name,
    CASE WHEN flow.paused AND flow.state = 'running' THEN 'paused' ELSE flow.state END AS state,
    coalesce(nodes.size, 0) AS size,
    coalesce(nodes.done, 0) AS done,
    coalesce(nodes.failed, 0) AS failed,
    CASE WHEN nodes.size > 0 THEN CAST(nodes.done AS double precision) / nodes.size ELSE 1 END AS progress,
    flow.on_failure,
    flow.created_at,
    least(first_job.started_at, nodes.first_end) AS started_at,
    flow.ended_at,
    CASE
        WHEN flow.ended_at IS NULL AND NOT flow.paused AND nodes.done > 0 AND flow.state = 'running'
            THEN
                coalesce(least(first_job.started_at, nodes.first_end), flow.created_at)
                + (clock_timestamp() - coalesce(least(first_job.started_at, nodes.first_end), flow.created_at))
                * (CAST(nodes.size AS double precision) / nodes.done)
    END AS expected_end,
    failed_node.error ->> 'type' AS error_type,
    failed_node.error ->> 'message' AS error
FROM workrow.flows AS flow
LEFT JOIN LATERAL (
    SELECT
        CAST(count(*) AS integer) AS size,
        CAST(count(*) FILTER (WHERE node.state IN ('succeeded', 'skipped', 'failed', 'cancelled')) AS integer) AS done,
        CAST(count(*) FILTER (WHERE node.state = 'failed' OR node.state = 'cancelled' AND node.error ->> 'type' <> 'workrow.WorkflowBroken') AS integer) AS failed,
        min(node.ended_at) AS first_end
    FROM workrow.flow_nodes AS node
    WHERE node.flow_id = flow.id AND node.kind = 'task' AND node.fires IS NULL
) AS nodes ON true
LEFT JOIN LATERAL (
    SELECT job.started_at
    FROM (
        SELECT node.job_id
        FROM workrow.flow_nodes AS node
        WHERE node.flow_id = flow.id AND node.job_id IS NOT NULL
        ORDER BY node.number
        LIMIT 1
    ) AS first_node
    CROSS JOIN LATERAL (
        SELECT live.started_at FROM procrastinate_jobs AS live WHERE live.id = first_node.job_id
        UNION ALL
        SELECT past.started_at FROM workrow.history AS past WHERE past.id = first_node.job_id
    ) AS job
    LIMIT 1
) AS first_job ON true
LEFT JOIN workrow.flow_nodes AS failed_node ON failed_node.flow_id = flow.id AND failed_node.number = flow.failed_node;

CREATE TRIGGER workrow_call_failure_hook AFTER INSERT ON workrow.history FOR EACH ROW WHEN ((new.status = ANY (ARRAY['failed'::procrastinate_job_status, 'cancelled'::procrastinate_job_status]))) EXECUTE FUNCTION workrow.call_failure_hook_v1();

CREATE TRIGGER workrow_celery_cancelled AFTER INSERT ON workrow.history FOR EACH ROW WHEN ((((new.status = 'cancelled'::procrastinate_job_status) OR (new.status = 'aborted'::procrastinate_job_status)) AND (((new.task_name)::text = 'workrow.celery.ended'::text) OR (((new.status = 'cancelled'::procrastinate_job_status) OR (((new.errors -> '-1'::integer) ->> 'type'::text) = 'workrow.Crashed'::text)) AND (((new.task_name)::text = 'workrow.celery.join'::text) OR jsonb_exists_all(new.args, ARRAY['id'::text, 'args'::text, 'kwargs'::text, 'root_id'::text])))))) EXECUTE FUNCTION workrow.celery_cancelled_v1();

CREATE TRIGGER workrow_end_call AFTER INSERT ON workrow.history FOR EACH ROW WHEN (starts_with(new.unique_key, 'workrow.call:'::text)) EXECUTE FUNCTION workrow.end_call_v1();

CREATE TRIGGER workrow_notify_ended AFTER INSERT ON workrow.history FOR EACH STATEMENT EXECUTE FUNCTION workrow.notify_ended_v1();

CREATE TRIGGER workrow_notify_inserted AFTER INSERT ON procrastinate_jobs REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION workrow.notify_inserted_v1();

CREATE TRIGGER workrow_orphan_jobs AFTER DELETE ON procrastinate_workers REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION workrow.orphan_jobs_v1();

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.jobs IS 'Every job, live or finished, with its times, attempts, result and errors.';
    COMMENT ON COLUMN workrow.jobs.id IS 'unique for ever';
    COMMENT ON COLUMN workrow.jobs.task IS 'the task''s name';
    COMMENT ON COLUMN workrow.jobs.queue IS 'the queue''s name';
    COMMENT ON COLUMN workrow.jobs.status IS 'todo, doing, succeeded, failed, cancelled or aborted';
    COMMENT ON COLUMN workrow.jobs.priority IS 'a higher one runs earlier';
    COMMENT ON COLUMN workrow.jobs.lock IS 'jobs of the same lock run one at a time, in order';
    COMMENT ON COLUMN workrow.jobs.queueing_lock IS 'at most one job of the same queueing lock is todo';
    COMMENT ON COLUMN workrow.jobs.args IS 'the task''s arguments';
    COMMENT ON COLUMN workrow.jobs.scheduled_at IS 'not before this time; after a failed attempt: the time of the next one';
    COMMENT ON COLUMN workrow.jobs.created_at IS 'when its transaction began; NULL when unknown';
    COMMENT ON COLUMN workrow.jobs.started_at IS 'start of the latest attempt';
    COMMENT ON COLUMN workrow.jobs.finished_at IS 'when it came to its end; NULL while todo or doing';
    COMMENT ON COLUMN workrow.jobs.attempts IS 'attempts that have ended';
    COMMENT ON COLUMN workrow.jobs.worker IS 'name of the worker that ran it last; NULL for a stock procrastinate worker';
    COMMENT ON COLUMN workrow.jobs.worker_id IS 'id in workrow.workers; NULL once that worker is gone';
    COMMENT ON COLUMN workrow.jobs.result IS 'what the task returned';
    COMMENT ON COLUMN workrow.jobs.error IS 'message of the latest failed attempt, also when a later attempt succeeded';
    COMMENT ON COLUMN workrow.jobs.error_type IS 'its exception''s type';
    COMMENT ON COLUMN workrow.jobs.traceback IS 'its traceback';
    COMMENT ON COLUMN workrow.jobs.errors IS 'every failed attempt, oldest first: attempt, at, type, message, traceback, discarded';
    COMMENT ON COLUMN workrow.jobs.discarded IS 'failed at once by discard_on, no retry';
    COMMENT ON COLUMN workrow.jobs.claims IS 'how often a worker has taken it: no attempt can have started more often';
    COMMENT ON COLUMN workrow.jobs.crashes IS 'how often its worker, or its process, died under it';
    COMMENT ON COLUMN workrow.jobs.quarantine IS 'why it does not run again until workrow.release_job_v1(id); NULL: not quarantined';
    COMMENT ON COLUMN workrow.jobs.version IS 'of the task''s signature that the arguments fit';
    COMMENT ON COLUMN workrow.jobs.unique_key IS 'at most one job has it at a time';
    COMMENT ON COLUMN workrow.jobs.expires_at IS 'not started by then, it is cancelled';
    COMMENT ON COLUMN workrow.jobs.progress IS 'what the task said last: done, total, message, at';
    COMMENT ON COLUMN workrow.jobs.line IS 'the limits that it queues for; NULL: none';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.queues IS 'Every queue that has a job, live or finished.';
    COMMENT ON COLUMN workrow.queues.queue IS 'the queue''s name';
    COMMENT ON COLUMN workrow.queues.depth IS 'jobs that wait: ready and scheduled';
    COMMENT ON COLUMN workrow.queues.ready IS 'jobs that wait and are due (those waiting behind a lock included)';
    COMMENT ON COLUMN workrow.queues.scheduled IS 'jobs that wait for a later time';
    COMMENT ON COLUMN workrow.queues.running IS 'jobs that run';
    COMMENT ON COLUMN workrow.queues.oldest_ready_at IS 'since when the oldest ready job is due; NULL when none is ready';
    COMMENT ON COLUMN workrow.queues.oldest_ready_seconds IS 'its age in seconds';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.tasks IS 'How the jobs that finished within the last 5 minutes, 1 hour and 24 hours went, by task.';
    COMMENT ON COLUMN workrow.tasks.task IS 'the task''s name';
    COMMENT ON COLUMN workrow.tasks."window" IS '''5 minutes'', ''1 hour'' or ''24 hours'', ending now';
    COMMENT ON COLUMN workrow.tasks.finished IS 'jobs that finished: succeeded + failed + cancelled';
    COMMENT ON COLUMN workrow.tasks.succeeded IS 'of these, succeeded';
    COMMENT ON COLUMN workrow.tasks.failed IS 'of these, failed for good, discarded ones included';
    COMMENT ON COLUMN workrow.tasks.discarded IS 'of the failed, those that discard_on ended at once';
    COMMENT ON COLUMN workrow.tasks.cancelled IS 'of the finished, cancelled or aborted';
    COMMENT ON COLUMN workrow.tasks.retried IS 'of the finished, those that took more than one attempt';
    COMMENT ON COLUMN workrow.tasks.success_rate IS 'succeeded / (succeeded + failed), 0 to 1; NULL when neither';
    COMMENT ON COLUMN workrow.tasks.processing_p50_seconds IS 'median of the latest attempt, start to end';
    COMMENT ON COLUMN workrow.tasks.processing_p95_seconds IS '95th percentile of the same';
    COMMENT ON COLUMN workrow.tasks.waiting_p50_seconds IS 'median of the time from due to the start of the latest attempt';
    COMMENT ON COLUMN workrow.tasks.waiting_p95_seconds IS '95th percentile of the same';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.workers IS 'Every registered worker; what only our workers tell is NULL for stock procrastinate workers.';
    COMMENT ON COLUMN workrow.workers.id IS 'procrastinate''s worker id';
    COMMENT ON COLUMN workrow.workers.name IS 'the worker''s name';
    COMMENT ON COLUMN workrow.workers.host IS 'the machine it runs on';
    COMMENT ON COLUMN workrow.workers.pid IS 'its process id there';
    COMMENT ON COLUMN workrow.workers.queues IS 'the queues it serves; NULL: all of them';
    COMMENT ON COLUMN workrow.workers.concurrency IS 'how many jobs it runs at once';
    COMMENT ON COLUMN workrow.workers.version IS 'of workrow';
    COMMENT ON COLUMN workrow.workers.started_at IS 'when it registered';
    COMMENT ON COLUMN workrow.workers.last_heartbeat IS 'when it last reported; NULL: its end was seen';
    COMMENT ON COLUMN workrow.workers.heartbeat_age_seconds IS 'seconds since then';
    COMMENT ON COLUMN workrow.workers.alive IS 'the last heartbeat is younger than its lease';
    COMMENT ON COLUMN workrow.workers.running IS 'jobs it runs now';
    COMMENT ON COLUMN workrow.workers.lease_seconds IS 'silent for longer, its jobs go back to the queue';
    COMMENT ON COLUMN workrow.workers.tasks IS 'the names of the tasks that it knows';
    COMMENT ON COLUMN workrow.workers.refused IS 'its finishes that came too late: the job was no longer its own';
    COMMENT ON COLUMN workrow.workers.stopping_at IS 'when it said that it stops; NULL: it has not';
END
$comment$;

COMMENT ON FUNCTION workrow.task_stats_v1 IS 'The columns of workrow.tasks for any period that ends now';

DO $comment$
DECLARE
    column_name text;
BEGIN
    COMMENT ON VIEW workrow.all_jobs IS 'Live and finished jobs with the columns of procrastinate_jobs.';
    FOR column_name IN
        SELECT attname FROM pg_attribute WHERE attrelid = CAST('workrow.all_jobs' AS regclass) AND attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN workrow.all_jobs.%I IS %L', column_name, 'as in procrastinate_jobs');
    END LOOP;
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.schedules IS 'what is enqueued by time: declared on tasks, or created at run time';
    COMMENT ON COLUMN workrow.schedules.name IS 'a declared one: the task''s name, and its own after a colon';
    COMMENT ON COLUMN workrow.schedules.task IS 'which task it enqueues';
    COMMENT ON COLUMN workrow.schedules.source IS 'declared: in the code; dynamic: created at run time';
    COMMENT ON COLUMN workrow.schedules.cron IS 'due at these times of its zone; NULL: every';
    COMMENT ON COLUMN workrow.schedules.every IS 'due at each whole multiple of this interval since 1970; NULL: cron';
    COMMENT ON COLUMN workrow.schedules.timezone IS 'the zone that cron is read in';
    COMMENT ON COLUMN workrow.schedules.args IS 'the arguments of its jobs';
    COMMENT ON COLUMN workrow.schedules.queue IS 'the queue of its jobs; NULL: the task''s';
    COMMENT ON COLUMN workrow.schedules.priority IS 'the priority of its jobs; NULL: the task''s';
    COMMENT ON COLUMN workrow.schedules.missed IS 'what becomes of due times that passed while no worker ran: skip, once (the latest), all';
    COMMENT ON COLUMN workrow.schedules.catch_up IS 'how many missed due times are made up for at most; with missed = all';
    COMMENT ON COLUMN workrow.schedules.max_late IS 'what is later is not made up for; NULL: 10 minutes, with missed = all no limit';
    COMMENT ON COLUMN workrow.schedules.overlap IS 'while its former job is todo or doing: allow, skip the due time, or queue behind it';
    COMMENT ON COLUMN workrow.schedules.jitter IS 'jobs start up to so long after the due time; NULL: at once';
    COMMENT ON COLUMN workrow.schedules.next_due_at IS 'the next due time; NULL: paused, or never again';
    COMMENT ON COLUMN workrow.schedules.last_due_at IS 'the last due time that a job was enqueued for';
    COMMENT ON COLUMN workrow.schedules.last_job_id IS 'its job';
    COMMENT ON COLUMN workrow.schedules.last_tick IS 'every due time up to here was dealt with';
    COMMENT ON COLUMN workrow.schedules.skipped IS 'due times without a job of their own so far';
    COMMENT ON COLUMN workrow.schedules.last_skipped_at IS 'the last such due time';
    COMMENT ON COLUMN workrow.schedules.skip_reason IS 'why: overlap, missed, paused (its queue or task), or the error that enqueueing raised';
    COMMENT ON COLUMN workrow.schedules.paused_at IS 'since when it is paused; NULL: it is not';
    COMMENT ON COLUMN workrow.schedules.paused_by IS 'who paused it';
    COMMENT ON COLUMN workrow.schedules.pause_reason IS 'why';
    COMMENT ON COLUMN workrow.schedules.orphaned IS 'no worker ticks it: for 5 minutes none has declared it, or a dynamic one is overdue by as much';
    COMMENT ON COLUMN workrow.schedules.created_at IS 'when it was declared first, or created; NULL: before version 4';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.limits IS 'What limits allow, and how much of it is in use: one row for each limit, and for each of its keys that has something of its own.';
    COMMENT ON COLUMN workrow.limits.name IS 'the limit''s name; one by a key is named task/argument';
    COMMENT ON COLUMN workrow.limits.key IS 'the key; NULL: all of them';
    COMMENT ON COLUMN workrow.limits.max_running IS 'so many run at the same time; NULL: any number';
    COMMENT ON COLUMN workrow.limits.rate_count IS 'so many start in each period; NULL: any number';
    COMMENT ON COLUMN workrow.limits.rate_seconds IS 'the period';
    COMMENT ON COLUMN workrow.limits.rate_burst IS 'so many may start at once after a quiet time';
    COMMENT ON COLUMN workrow.limits.weight IS 'its share of the turns among keys';
    COMMENT ON COLUMN workrow.limits.paused IS 'nothing of it starts';
    COMMENT ON COLUMN workrow.limits.running IS 'jobs that hold a slot now';
    COMMENT ON COLUMN workrow.limits.blocked_lines IS 'groups of jobs that wait for it';
    COMMENT ON COLUMN workrow.limits.actor IS 'who changed it at run time';
    COMMENT ON COLUMN workrow.limits.reason IS 'and why';
    COMMENT ON COLUMN workrow.limits.changed_at IS 'and when';
    COMMENT ON COLUMN workrow.limits.held_until IS 'nothing of it starts before, for a job was told so (RateLimited); NULL: it is not held back';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.held IS 'What workers leave aside, for an open transaction holds it.';
    COMMENT ON COLUMN workrow.held.kind IS 'job, schedule, queue, bucket or worker';
    COMMENT ON COLUMN workrow.held.name IS 'which one: the id of a job or worker, the name of the others';
    COMMENT ON COLUMN workrow.held.since IS 'when a worker met it first, or the transaction began';
    COMMENT ON COLUMN workrow.held.pid IS 'the session that holds it; NULL: not known';
    COMMENT ON COLUMN workrow.held.application_name IS 'what it calls itself';
    COMMENT ON COLUMN workrow.held.state IS 'what it does; idle in transaction: it waits for its client';
    COMMENT ON COLUMN workrow.held.transaction_since IS 'when its transaction began';
    COMMENT ON COLUMN workrow.held.query IS 'its last statement';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.notifications IS 'The server''s queue of notifications, which all its databases share: one row.';
    COMMENT ON COLUMN workrow.notifications.used IS 'how full it is: 0 to 1';
    COMMENT ON COLUMN workrow.notifications.notifying IS 'workers are notified; false: it is too full, and they poll';
    COMMENT ON COLUMN workrow.notifications.pid IS 'from half full on: the session with the oldest transaction; if it listens, it keeps the queue';
    COMMENT ON COLUMN workrow.notifications.database IS 'which database it is on';
    COMMENT ON COLUMN workrow.notifications.application_name IS 'what it calls itself';
    COMMENT ON COLUMN workrow.notifications.state IS 'what it does; idle in transaction: it waits for its client';
    COMMENT ON COLUMN workrow.notifications.transaction_since IS 'when its transaction began';
    COMMENT ON COLUMN workrow.notifications.query IS 'its last statement';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.caps IS 'Queues that take no more than so many jobs.';
    COMMENT ON COLUMN workrow.caps.queue IS 'the queue''s name';
    COMMENT ON COLUMN workrow.caps.max_depth IS 'how many jobs that could run now it holds';
    COMMENT ON COLUMN workrow.caps.declared_depth IS 'what the code says; max_depth is another where it was set at run time';
    COMMENT ON COLUMN workrow.caps.depth IS 'jobs that could run now, counted to one above max_depth';
    COMMENT ON COLUMN workrow.caps.actor IS 'who set it at run time';
    COMMENT ON COLUMN workrow.caps.reason IS 'why';
    COMMENT ON COLUMN workrow.caps.set_at IS 'when';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.pauses IS 'What is paused, and what was in the last 90 days.';
    COMMENT ON COLUMN workrow.pauses.kind IS 'queue or task';
    COMMENT ON COLUMN workrow.pauses.name IS 'which one';
    COMMENT ON COLUMN workrow.pauses.actor IS 'who paused it';
    COMMENT ON COLUMN workrow.pauses.reason IS 'why';
    COMMENT ON COLUMN workrow.pauses.paused_at IS 'since when';
    COMMENT ON COLUMN workrow.pauses.resumed_at IS 'until when; NULL: it is paused';
    COMMENT ON COLUMN workrow.pauses.resumed_by IS 'who resumed it';
    COMMENT ON COLUMN workrow.pauses.resume_reason IS 'why it was resumed';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.quarantine IS 'Jobs that do not run again until somebody releases them: SELECT workrow.release_job_v1(id).';
    COMMENT ON COLUMN workrow.quarantine.id IS 'the job''s id';
    COMMENT ON COLUMN workrow.quarantine.task IS 'the task''s name';
    COMMENT ON COLUMN workrow.quarantine.queue IS 'the queue''s name';
    COMMENT ON COLUMN workrow.quarantine.cause IS 'what happened';
    COMMENT ON COLUMN workrow.quarantine.since IS 'when';
    COMMENT ON COLUMN workrow.quarantine.crashes IS 'how often its worker, or its process, died under it';
    COMMENT ON COLUMN workrow.quarantine.attempts IS 'attempts that have ended';
    COMMENT ON COLUMN workrow.quarantine.args IS 'the task''s arguments';
    COMMENT ON COLUMN workrow.quarantine.worker IS 'name of the worker that ran it last';
    COMMENT ON COLUMN workrow.quarantine.errors IS 'every failed attempt and crash, oldest first';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.unroutable IS 'Waiting jobs that no living worker would take: their task, or their queue, is not served.';
    COMMENT ON COLUMN workrow.unroutable.task IS 'the task''s name';
    COMMENT ON COLUMN workrow.unroutable.queue IS 'the queue''s name';
    COMMENT ON COLUMN workrow.unroutable.jobs IS 'how many';
    COMMENT ON COLUMN workrow.unroutable.oldest_created_at IS 'when the first of them was enqueued';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.workflow_nodes IS 'The nodes of workflows: tasks, and what holds the results of groups together.';
    COMMENT ON COLUMN workrow.workflow_nodes.workflow_id IS 'the workflow';
    COMMENT ON COLUMN workrow.workflow_nodes.node IS 'its number in the workflow';
    COMMENT ON COLUMN workrow.workflow_nodes.name IS 'its name, or its tasks';
    COMMENT ON COLUMN workrow.workflow_nodes.kind IS 'task; gather, a list of results; object, results by name';
    COMMENT ON COLUMN workrow.workflow_nodes.fires IS 'of a callback: success, failure or end of what it follows; of a compensation: undo';
    COMMENT ON COLUMN workrow.workflow_nodes.task IS 'its task';
    COMMENT ON COLUMN workrow.workflow_nodes.queue IS 'the queue of its job';
    COMMENT ON COLUMN workrow.workflow_nodes.state IS 'waiting, ready (the workflow is held), enqueued, running, expanded (waits for what was appended or took its place), succeeded, failed, cancelled or skipped';
    COMMENT ON COLUMN workrow.workflow_nodes.job_id IS 'its job; NULL: not yet';
    COMMENT ON COLUMN workrow.workflow_nodes.parents IS 'the nodes it follows';
    COMMENT ON COLUMN workrow.workflow_nodes.waits_for IS 'those of them that have not ended';
    COMMENT ON COLUMN workrow.workflow_nodes.attempts IS 'of its job, while that is live';
    COMMENT ON COLUMN workrow.workflow_nodes.progress IS 'of its job, while that is live';
    COMMENT ON COLUMN workrow.workflow_nodes.error_type IS 'why it failed: the errors class';
    COMMENT ON COLUMN workrow.workflow_nodes.error IS 'what that said';
    COMMENT ON COLUMN workrow.workflow_nodes.ended_at IS 'when it ended';
    COMMENT ON COLUMN workrow.workflow_nodes.appended_to IS 'the node that it, with what it follows, was appended to, or took the place of';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.workflows IS 'Workflows, running and ended.';
    COMMENT ON COLUMN workrow.workflows.id IS 'given by the database';
    COMMENT ON COLUMN workrow.workflows.name IS 'what it was called, or what it is made of';
    COMMENT ON COLUMN workrow.workflows.state IS 'running, paused, stopping (a node failed, others still run), cancelling, compensating, succeeded, failed or cancelled';
    COMMENT ON COLUMN workrow.workflows.size IS 'how many tasks it has';
    COMMENT ON COLUMN workrow.workflows.done IS 'how many of them have ended';
    COMMENT ON COLUMN workrow.workflows.failed IS 'how many of those have failed, or were cancelled or deleted by themselves';
    COMMENT ON COLUMN workrow.workflows.progress IS 'done / size';
    COMMENT ON COLUMN workrow.workflows.on_failure IS 'what a failed node does to the rest: cancel, continue or compensate';
    COMMENT ON COLUMN workrow.workflows.created_at IS 'when it was enqueued';
    COMMENT ON COLUMN workrow.workflows.started_at IS 'when its first job was started; NULL: not yet';
    COMMENT ON COLUMN workrow.workflows.ended_at IS 'when it ended; NULL: not yet';
    COMMENT ON COLUMN workrow.workflows.expected_end IS 'when it will have ended, at the pace so far; NULL: nobody can tell';
    COMMENT ON COLUMN workrow.workflows.error_type IS 'of the first node that failed';
    COMMENT ON COLUMN workrow.workflows.error IS 'what that said';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.steps IS 'What the steps of jobs have done, and what jobs with steps wait for.';
    COMMENT ON COLUMN workrow.steps.job_id IS 'the job';
    COMMENT ON COLUMN workrow.steps.task IS 'its task''s name';
    COMMENT ON COLUMN workrow.steps.queue IS 'its queue''s name';
    COMMENT ON COLUMN workrow.steps.name IS 'the step''s name, once in a job';
    COMMENT ON COLUMN workrow.steps.kind IS 'step, sleep, wait (for a signal) or call (of another task)';
    COMMENT ON COLUMN workrow.steps.state IS 'done, waiting, timed out (a wait), failed (the job that was called), or left: the job ended before';
    COMMENT ON COLUMN workrow.steps.noted_at IS 'when it was written down: a step''s end, or when the job began to wait';
    COMMENT ON COLUMN workrow.steps.due_at IS 'a sleep''s end, a wait''s timeout; NULL: none';
    COMMENT ON COLUMN workrow.steps.signal IS 'the signal that it waits for';
    COMMENT ON COLUMN workrow.steps.child_id IS 'the job that was called';
    COMMENT ON COLUMN workrow.steps.ended_at IS 'when it was done';
    COMMENT ON COLUMN workrow.steps.result IS 'what it returned, or the signal''s value';
    COMMENT ON COLUMN workrow.steps.error IS 'why there is no result';
    COMMENT ON COLUMN workrow.steps.error_type IS 'its type';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.celery_schedules IS 'Entries of the beat_schedule of Celery apps.';
    COMMENT ON COLUMN workrow.celery_schedules.app IS 'the name of the app';
    COMMENT ON COLUMN workrow.celery_schedules.name IS 'the name of the entry';
    COMMENT ON COLUMN workrow.celery_schedules.task IS 'the task that it sends';
    COMMENT ON COLUMN workrow.celery_schedules.schedule IS 'when: an interval, a crontab, the sun, for people';
    COMMENT ON COLUMN workrow.celery_schedules.timezone IS 'the app''s; NULL: none was set';
    COMMENT ON COLUMN workrow.celery_schedules.last_run_at IS 'when it was sent last; before the first time, when it was first declared';
    COMMENT ON COLUMN workrow.celery_schedules.total_run_count IS 'how often it was due';
    COMMENT ON COLUMN workrow.celery_schedules.next_run_at IS 'when it is due next; long past: nobody runs beat; NULL: not known yet';
    COMMENT ON COLUMN workrow.celery_schedules.last_error IS 'why nothing was sent the last time; NULL: it was';
    COMMENT ON COLUMN workrow.celery_schedules.declared_at IS 'when a beat last said that it has this entry, about once a minute';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.celery_dials IS 'How many calls the bridge from Celery sends here.';
    COMMENT ON COLUMN workrow.celery_dials.task IS 'the name of the task; *: every other';
    COMMENT ON COLUMN workrow.celery_dials.percent IS 'of 100 calls so many come here; NULL: as *';
    COMMENT ON COLUMN workrow.celery_dials.sticky_by IS 'calls in which this argument is the same go to the same side; NULL: each by itself';
    COMMENT ON COLUMN workrow.celery_dials.shadow IS 'of 100 calls that go to the old broker so many are run here too, and rolled back; NULL: as *';
    COMMENT ON COLUMN workrow.celery_dials.bridge_is_on IS 'false: all calls go to the old broker, whatever percent says';
    COMMENT ON COLUMN workrow.celery_dials.changed_at IS 'when it was set last';
END
$comment$;

DO $comment$
BEGIN
    COMMENT ON VIEW workrow.celery_parity IS 'How shadow runs compare with those of Celery, of the last 30 days.';
    COMMENT ON COLUMN workrow.celery_parity.task IS 'the name of the task';
    COMMENT ON COLUMN workrow.celery_parity.compared IS 'runs of which both ends are known';
    COMMENT ON COLUMN workrow.celery_parity.equal IS 'of these: the same result, or the same error';
    COMMENT ON COLUMN workrow.celery_parity.other_result IS 'both succeeded, with another result';
    COMMENT ON COLUMN workrow.celery_parity.other_error IS 'one failed and the other did not, or with another error';
    COMMENT ON COLUMN workrow.celery_parity.skipped IS 'not compared';
    COMMENT ON COLUMN workrow.celery_parity.their_seconds IS 'half of Celery''s runs took no longer, from due to done, with their wait in the queue';
    COMMENT ON COLUMN workrow.celery_parity.our_seconds IS 'half of the runs here took no longer, without a wait';
    COMMENT ON COLUMN workrow.celery_parity.last_difference IS 'what differed last, or why it was not compared';
    COMMENT ON COLUMN workrow.celery_parity.last_at IS 'the last run of it';
END
$comment$;

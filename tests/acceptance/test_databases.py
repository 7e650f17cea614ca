"""A sample of the suite on databases as other people have them; the whole is ``make test-databases``."""

import os

import pytest

from tests import databases

SAMPLE = {
    "arguments": "every_way_to_enqueue_and_the_same_types_in_the_worker",
    "limited_jobs": "a_limit_is_changed_and_paused_at_run_time",
    "results": "the_result_is_what_the_task_returned",
    "retries": "a_snooze_is_no_attempt",
    "scheduler": "the_worker_ticks",
    "steps": "a_sleep_gives_the_slot_away_and_counts_no_attempt",
    "transactional": "writes_result_and_further_jobs_commit_with_the_end",
    "unique": "a_transaction_of_its_own",
    "worker": "a_retry_waits",
    "workflow_batches": "it_commits_with_the_callers_data_or_not_at_all",
    "workflows": "cancel_pause_resume_and_retry",
}


@pytest.mark.timeout(300)
@pytest.mark.skipif("WORKROW_TEST_DATABASE_URL" in os.environ, reason="a sample of what runs on the embedded server")
@pytest.mark.parametrize("variant", databases.VARIANTS)
def test_a_sample_on_each_variant(variant: str, capfd: pytest.CaptureFixture[str]) -> None:
    tests = [f"tests/integration/test_{file}.py::test_{name}" for file, name in SAMPLE.items()]
    failed = databases.main([variant, "18", "--", "-q", "-p", "no:cacheprovider", *tests])
    assert not failed, capfd.readouterr().out

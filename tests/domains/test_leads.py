"""Leads: imported once, merged by a rule, scored by rules."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

import workrow
from jobs import database
from jobs.leads import imports, rules, tasks, uploads
from jobs.leads.imports import Books
from tests.domains.conftest import jobs, scalar
from tests.domains.leads import csv_of, file_of, imported, leads, people, start

Conn = psycopg.Connection[Any]
Work = Callable[[], Any]
on_the_database = pytest.mark.usefixtures("application")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of some thousand rows have several pieces, as files of a hundred thousand have."""
    monkeypatch.setattr(uploads, "CHUNK", 65_536)


@on_the_database
async def test_a_row_becomes_a_lead(conn: Conn) -> None:
    content = file_of(
        "Vorname;Nachname;E-Mail-Adresse;Telefon;Firma;Land;Tags",
        "Zoe; Müller ;Zoe.M@Example.COM;030 / 123456;Firma  GmbH;Germany;VIP, eu|vip",
    )
    import_id, books = await imported(content, source="fair")
    assert books == Books(1, 0, 0)
    columns = "name, email, phone, company, country, time_zone, source, status"
    assert leads(conn, columns) == [
        ("Zoe Müller", "zoe.m@example.com", "+4930123456", "Firma GmbH", "DE", None, "fair", "new")
    ]
    assert leads(conn, "tags, import_id") == [(["vip", "eu"], import_id)]


@on_the_database
async def test_country_and_time_zone_follow_from_the_number_unless_they_are_said(conn: Conn) -> None:
    content = file_of("phone,country,time zone", "+33123456789,,", "+33123456780,US,america/chicago", "+80012345678,,")
    await imported(content)
    assert leads(conn, "country, time_zone") == [("FR", "Europe/Paris"), ("US", "America/Chicago"), (None, None)]


@on_the_database
async def test_rows_are_merged_within_the_file(conn: Conn) -> None:
    content = file_of(
        "email,phone,name,company,tags",
        "ada@example.com,,Ada,,a",
        "ADA@example.com,+442079460018,Another,Firm,b",  # the same address
        ",+442079460018,,,c",  # the same number
        "bob@example.com,+442079460018,Bob,,",  # the same number, another address
        ",+14155552671,Cy,,",
        "cy@example.com,+14155552671,,,",  # the number of a lead without an address
        ",+14155552671,Di,Firm,",
    )
    assert (await imported(content))[1] == Books(3, 4, 0)
    assert leads(conn, "email, phone, name, company, tags") == [
        ("ada@example.com", "+442079460018", "Ada", "Firm", ["a", "b", "c"]),
        ("bob@example.com", "+442079460018", "Bob", None, []),
        ("cy@example.com", "+14155552671", "Cy", "Firm", []),
    ]


@on_the_database
async def test_rows_are_merged_with_the_table_and_only_what_changes_is_written(conn: Conn) -> None:
    await imported(file_of("email,phone,tags", "ada@example.com,,a", ",+442079460018,", "cy@example.com,,"))
    before = leads(conn, "id, xmin::text")
    content = file_of(
        "email,phone,company,tags",
        "ada@example.com,+14155552671,,b",
        "bob@example.com,+442079460018,Firm,",
        "cy@example.com,,,",
        "bob@example.com,,Other,x",
    )
    assert (await imported(content))[1] == Books(0, 4, 0)
    assert leads(conn, "email, phone, company, tags, score > 0") == [
        ("ada@example.com", "+14155552671", None, ["a", "b"], True),
        ("bob@example.com", "+442079460018", "Firm", ["x"], True),
        ("cy@example.com", None, None, [], False),
    ]
    after = leads(conn, "id, xmin::text")
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, False, True]


@on_the_database
async def test_what_a_lead_has_stays(conn: Conn) -> None:
    await imported(file_of("email,name,phone", "ada@example.com,Ada,+14155552671"))
    await imported(file_of("email,name,phone", "ada@example.com,Eve,+442079460018"))
    assert leads(conn) == [("ada@example.com", "+14155552671", "Ada")]


@on_the_database
async def test_values_that_copy_could_misread(conn: Conn) -> None:
    await imported(csv_of(("email", "name", "tags"), [("a@example.com", r"\N \t C:\x", 'x\\y "q" {z}')]))
    assert leads(conn, "name, tags") == [(r"\N \t C:\x", ['x\\y "q" {z}'])]


@on_the_database
async def test_the_same_file_is_the_same_import(conn: Conn, work: Work) -> None:
    first, new = await start(people(10))
    waiting, again = await start(people(10))
    assert (new, again, first.id, first.job_id) == (True, False, waiting.id, waiting.job_id)
    await work()
    done, again = await start(people(10))
    assert (again, done.id, done.state, done.imported, done.job_id) == (False, first.id, "done", 10, first.job_id)
    assert len(jobs(conn, "leads.import_file")) == 1


@on_the_database
async def test_an_import_that_rolls_back_leaves_nothing(conn: Conn) -> None:
    async def refuse(*_: Any) -> Any:
        raise ZeroDivisionError

    from jobs.leads.uploads import Upload

    with Upload(1000) as upload:
        upload.write(people(3))
        with pytest.raises(ZeroDivisionError):
            async with database.session() as session, session.begin():
                await imports.start(session, upload, refuse, name="x")
    assert scalar(conn, "SELECT count(*) FROM lead_imports") == scalar(conn, "SELECT count(*) FROM lead_import_chunks")
    assert scalar(conn, "SELECT count(*) FROM lead_imports") == 0


@on_the_database
async def test_a_batch_that_fails_leaves_the_batches_before_and_is_done_once(conn: Conn) -> None:
    started, _ = await start(people(3_000))
    calls = 0

    async def fail_at_the_second(session: Any, first: int, last: int) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ConnectionError
        return await tasks.qualify.enqueue(session, first, last)

    with pytest.raises(ConnectionError):
        await imports.run(started.id, fail_at_the_second, lambda *_: None)
    position = scalar(conn, "SELECT position FROM lead_imports")
    assert 1 < position < 3_000
    assert (
        scalar(conn, "SELECT count(*) FROM leads") == position - 1 == scalar(conn, "SELECT imported FROM lead_imports")
    )

    again, new = await start(people(3_000))
    assert (new, again.id) == (False, started.id)
    assert await imports.run(started.id, fail_at_the_second, lambda *_: None) == Books(3_000, 0, 0)
    assert scalar(conn, "SELECT count(DISTINCT email) FROM leads") == 3_000
    assert (
        scalar(
            conn,
            "SELECT sum((args->>'last')::int - (args->>'first')::int + 1) FROM procrastinate_jobs "
            "WHERE task_name = 'leads.qualify'",
        )
        == 3_000
    )


@on_the_database
async def test_two_workers_on_one_import_write_each_row_once(conn: Conn) -> None:
    started, _ = await start(people(3_000))
    runs = [imports.run(started.id, tasks.qualify.enqueue, lambda *_: None) for _ in range(2)]
    ended = await asyncio.gather(*runs, return_exceptions=True)
    assert {type(each) for each in ended} == {Books, imports.TakenOver}
    assert scalar(conn, "SELECT imported FROM lead_imports") == scalar(conn, "SELECT count(*) FROM leads") == 3_000
    assert scalar(conn, "SELECT merged + refused FROM lead_imports") == 0


@on_the_database
async def test_two_imports_of_the_same_people_at_once_are_merged(conn: Conn) -> None:
    one, _ = await start(people(2_000))
    other, _ = await start(people(2_000) + b"Eve,eve@example.com,,\n")
    books = await asyncio.gather(
        *(imports.run(each.id, tasks.qualify.enqueue, lambda *_: None) for each in (one, other))
    )
    assert sum(each.imported for each in books) == scalar(conn, "SELECT count(*) FROM leads") == 2_001
    assert sum(each.merged for each in books) == 2_000


@on_the_database
async def test_the_job_imports_qualifies_by_chunks_and_reports(conn: Conn, work: Work) -> None:
    started, _ = await start(people(2_000))
    await work()
    (job,) = jobs(conn, "leads.import_file")
    assert (job["status"], job["result"]) == ("succeeded", {"imported": 2_000, "merged": 0, "refused": 0})
    progress = job["progress"]
    assert (progress["done"], progress["total"]) == (started.size, started.size)
    assert progress["message"] == "2,000 imported, 0 merged, 0 refused"
    scored = jobs(conn, "leads.qualify")
    assert len(scored) == scalar(conn, "SELECT count(*) FROM lead_import_chunks") == 2
    assert sum(each["result"] for each in scored) == 2_000
    assert set(leads(conn, "status, score, rules_version")) == {("qualified", 70, rules.VERSION)}


@on_the_database
async def test_an_import_that_is_gone_is_discarded(conn: Conn, work: Work) -> None:
    await tasks.import_file.enqueue(None, 12345)
    await work()
    (job,) = jobs(conn, "leads.import_file")
    assert (job["status"], job["discarded"], job["error"]) == ("failed", True, "there is no import 12345")


@on_the_database
async def test_files_are_forgotten_and_the_import_is_known(conn: Conn) -> None:
    content = people(3) + b"nobody,no address\r\n"
    import_id, _ = await imported(content)
    async with database.session() as session, session.begin():
        assert await imports.forget_files(session, timedelta(days=1)) == 0
    assert scalar(conn, "SELECT count(*) FROM lead_import_errors") == 1
    conn.execute("UPDATE lead_imports SET finished_at = now() - interval '2 days'")
    async with database.session() as session, session.begin():
        assert await imports.forget_files(session, timedelta(days=1)) == 1
    assert scalar(conn, "SELECT count(*) FROM lead_import_errors") == 0
    again, new = await start(content)
    assert (again.id, new, again.imported, again.errors) == (import_id, False, 3, 1)


def test_the_tasks_have_these_names_and_schedules(workrow_app: workrow.App) -> None:
    names = {name for name in workrow_app.tasks if name.startswith("leads.")}
    assert names == {"leads.import_file", "leads.qualify", "leads.rescore", "leads.total", "leads.forget_files"}

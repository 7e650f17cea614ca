"""Files of leads as they come: encodings, dialects, and everything that can be wrong with them."""

import random
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jobs.leads import uploads
from jobs.leads.files import RECORD_MAX, Broken, Records, UnusableFile
from jobs.leads.imports import ERRORS_KEPT, Books
from jobs.leads.models import LeadImport
from jobs.leads.uploads import FileTooLarge, Upload
from tests.domains.conftest import scalar
from tests.domains.leads import csv_of, file_of, imported, leads, people, problems, start

ADA = ("ada@example.com", "+442079460018", "Zoë Łovelace")
Conn = psycopg.Connection[Any]


@pytest.mark.usefixtures("application")
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-bom"])
async def test_encodings_and_delimiters(conn: Conn, all_of_unicode: None, delimiter: str, encoding: str) -> None:
    text = file_of(delimiter.join(("Name", "E-Mail", "Tel.")), delimiter.join(("Zoë Łovelace", *ADA[:2]))).decode()
    content = b"\xfe\xff" + text.encode("utf-16-be") if encoding == "utf-16-be-bom" else text.encode(encoding)
    assert (await imported(content))[1] == Books(1, 0, 0)
    assert leads(conn) == [ADA]


@pytest.mark.usefixtures("application")
@pytest.mark.parametrize("first", ["sep=;", "SEP=,", "sep=\t", ";;", "sep=;;;"])
async def test_a_line_for_excel_is_no_header(conn: Conn, first: str) -> None:
    assert (await imported(file_of(first, "Name;E-Mail;Tel.", "Zoë Łovelace;ada@example.com;+442079460018")))[
        1
    ] == Books(1, 0, 0)
    assert leads(conn) == [ADA]


@pytest.mark.usefixtures("application")
async def test_a_header_alone_has_no_rows() -> None:
    assert (await imported(file_of("Name;E-Mail")))[1] == Books(0, 0, 0)


@pytest.mark.usefixtures("application")
async def test_windows_1252_is_the_fall_back_and_told(conn: Conn, all_of_unicode: None) -> None:
    content = file_of("Name;E-Mail", "Zoë Müller €5;zoe@example.com", encoding="cp1252") + b"A\x81;a@example.com\n"
    started, _ = await start(content)
    assert started.layout["encoding"] == "cp1252"
    assert (await imported(content))[1] == Books(1, 0, 1)
    assert leads(conn, "name") == [("Zoë Müller €5",)]
    assert problems(conn) == [(3, "Name", "A\ufffd", "it has control characters in it")]


@pytest.mark.usefixtures("application")
async def test_an_invalid_byte_behind_the_first_piece_is_found_before_the_import() -> None:
    started, _ = await start(people(11_000) + "Zoë,z@example.com,,\n".encode("latin-1"))
    assert started.layout["encoding"] == "cp1252"


@pytest.mark.usefixtures("application")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\r\n \r\n", "the file is empty"),
        (b"\xef\xbb\xbf", "there is no header"),
        (b"PK\x03\x04" + bytes(500), "an Excel workbook or a ZIP archive"),
        (random.Random(1).randbytes(5000), "a binary file"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(400), "a binary file"),
        ("email\nada@example.com\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (b"\xff\xfee\0m\0a\0i\0l\0\n\0\x00\xd8x\0", "its byte order mark says UTF-16, and it is not"),
        (b"\xef\xbb\xbfemail\n\xff@example.com\n", "its byte order mark says UTF-8, and it is not"),
        (b"colour,size\nred,5\n", "no column is an e-mail or a phone: the first row says 'colour', 'size'"),
        (b"name,company\nAda,Firm\n", "no column is an e-mail or a phone"),
        (b"ada@example.com,Ada\n", "no column is an e-mail or a phone"),
        (b"email,name,E-Mail\n", "columns 1 ('email') and 3 ('E-Mail') are both the email: rename or remove one"),
        (b"email," * 1001 + b"x\n", "1,002 columns: at most 1,000"),
        (b'"email,phone\n' + b"a@example.com,\n" * 9, "the header, '\"email,phone\\n', has a quote that never closes"),
        (b"email," + b"x" * RECORD_MAX + b"\n", "has a line of more than 65,536 characters"),
        (b"x" * 10_000_000, "the first row does not end within 65,536 characters"),
    ],
)
async def test_a_file_of_which_nothing_can_be_imported(conn: Conn, content: bytes, words: str) -> None:
    with pytest.raises(UnusableFile) as caught:
        await start(content)
    assert words in str(caught.value)
    assert scalar(conn, "SELECT (SELECT count(*) FROM lead_imports) + (SELECT count(*) FROM procrastinate_jobs)") == 0


def test_a_file_that_is_too_large() -> None:
    with Upload(10) as upload:
        upload.write(b"x" * 10)
        with pytest.raises(FileTooLarge, match="more than 10 bytes"):
            upload.write(b"x")


@pytest.mark.usefixtures("application")
async def test_only_a_header(conn: Conn) -> None:
    import_id, books = await imported(b"email,phone\n")
    assert books == Books(0, 0, 0)
    assert scalar(conn, "SELECT state FROM lead_imports WHERE id = %s", import_id) == "done"


@pytest.mark.usefixtures("application")
async def test_two_hundred_columns(conn: Conn) -> None:
    header = [f"column {i}" for i in range(199)] + ["email"]
    import_id, books = await imported(csv_of(header, [["x"] * 199 + ["ada@example.com"]]))
    assert books == Books(1, 0, 0)
    ignored = scalar(conn, "SELECT layout->'ignored' FROM lead_imports WHERE id = %s", import_id)
    assert (len(ignored), ignored[0]) == (50, "column 0")


@pytest.mark.usefixtures("application")
async def test_ragged_rows(conn: Conn) -> None:
    lines = ("name,email,phone", "Ada,ada@example.com", "Bob,bob@example.com,,", "Cy,cy@example.com,,,x", "", ",,")
    assert (await imported(file_of(*lines)))[1] == Books(2, 0, 1)
    assert problems(conn) == [(4, None, "x", "5 cells, where the header has 3")]


@pytest.mark.usefixtures("application")
async def test_a_line_of_10_megabytes_loses_only_itself(conn: Conn) -> None:
    content = b"email,note\nada@example.com,\nbob@example.com," + b"x" * 10_000_000 + b"\ncy@example.com,\n"
    assert (await imported(content))[1] == Books(2, 0, 1)
    ((row, column, value, problem),) = problems(conn)
    assert (row, column, len(value), problem) == (3, None, 81, "a line of more than 65,536 characters")


@pytest.mark.usefixtures("application")
@pytest.mark.parametrize("rest", [3, 5000])
async def test_a_quote_that_never_closes_loses_only_its_line(conn: Conn, rest: int) -> None:
    lines = [f"p{i}@example.com,plain" for i in range(rest)]
    assert (await imported(file_of("email,note", 'ada@example.com,"open', *lines)))[1] == Books(rest, 0, 1)
    assert problems(conn) == [(2, None, 'ada@example.com,"open\ufffd', "a quote that never closes")]


@pytest.mark.usefixtures("application")
async def test_a_quoted_cell_of_several_lines_is_one_row(conn: Conn) -> None:
    content = b'email,name\r\nada@example.com,"Ada\r\nKing ""L"""\r\nbob@example.com,B "x" y\r\n'
    assert (await imported(content))[1] == Books(2, 0, 0)
    assert leads(conn, "name") == [('Ada King "L"',), ('B "x" y',)]


@pytest.mark.usefixtures("application")
async def test_nul_characters(conn: Conn) -> None:
    content = b"email,name,colour\nada@example.com,A\0da,\nb\0ob@example.com,,\ncy@example.com,,r\0d\n"
    assert (await imported(content))[1] == Books(1, 0, 2)
    assert [problem[:3] for problem in problems(conn)] == [
        (2, "name", "A\ufffdda"),
        (3, "email", "b\ufffdob@example.com"),
    ]


@pytest.mark.usefixtures("application")
async def test_each_wrong_value_says_what_would_be_right(conn: Conn) -> None:
    long = "x" * 201
    content = csv_of(
        ("E-mail", "Phone", "Country", "Time zone", "Company", "Tags"),
        [
            ("ada", "+1 555", "Atlantis", "Mars/Base", long, "a" * 51),
            ("", "030 123", "", "", "", ""),
            ("", "", "DE", "", "Firm", ""),
        ],
    )
    assert (await imported(content))[1] == Books(0, 0, 3)
    assert [(row, column, problem.partition(":")[0]) for row, column, _, problem in problems(conn)] == [
        (2, "E-mail", "no e-mail address"),
        (2, "Country", "no country"),
        (2, "Time zone", "no time zone"),
        (2, "Company", "longer than 200 characters"),
        (2, "Phone", "there is no such number in the numbering plan of +1"),
        (2, "Tags", "the tag 'aaaaaaaaaaaaaaaaaaaa'… is longer than 50 characters"),
        (3, "Phone", "a number without its country"),
        (4, None, "neither an e-mail address nor a phone number"),
    ]
    assert scalar(conn, "SELECT count(*) FROM lead_import_errors WHERE fix = ''") == 0
    assert scalar(conn, "SELECT max(length(value)) FROM lead_import_errors") == 81


@pytest.mark.usefixtures("application")
async def test_all_errors_are_counted_and_the_first_ones_kept(conn: Conn) -> None:
    rows = 2 * ERRORS_KEPT + 5
    content = file_of("email,phone", *(f"nobody{i},nothing" for i in range(rows)))
    assert (await imported(content))[1] == Books(0, 0, rows)
    assert scalar(conn, "SELECT errors FROM lead_imports") == 2 * rows
    assert scalar(conn, "SELECT count(*) FROM lead_import_errors") == ERRORS_KEPT


CELLS = st.text(st.sampled_from('a@.b+19 ",;\n\r\t\0\u2028é'), max_size=12) | st.sampled_from(
    ["ada@example.com", "bob@example.com", "+442079460018", "+14155552671", ""]
)


@pytest.mark.usefixtures("application")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=25))
async def test_of_any_cells_every_row_is_imported_merged_or_refused(conn: Conn, rows: list[list[str]]) -> None:
    conn.execute("DELETE FROM leads")
    conn.execute("DELETE FROM lead_imports")
    content = csv_of(["email", "phone", "name", "note"], rows)
    assume(content.count(b"\0") <= 4)  # with more of them it may be a binary file
    _, books = await imported(content)
    with_something = sum(any(cell for cell in row) for row in rows)
    assert books.imported + books.merged + books.refused == with_something
    assert len(leads(conn)) == books.imported


@given(st.text(st.sampled_from('ab,"\n\r'), max_size=200), st.integers(1, 40))
def test_where_a_file_is_cut_into_pieces_makes_no_difference(text: str, size: int) -> None:
    content = text.encode()
    pieces = [content[i : i + size] for i in range(0, len(content), size)] or [b""]
    records = Records("utf-8-sig", ",")
    found = [each for n, piece in enumerate(pieces, 1) for each in records.feed(piece, final=n == len(pieces))]
    assert found == list(Records("utf-8-sig", ",").feed(content, final=True))
    lines = text.replace("\r\n", "\n").replace("\r", "\n").count("\n")
    assert len(found) <= lines + 1
    assert all(isinstance(cells, list | Broken) for _, cells in found)


@pytest.mark.usefixtures("application")
async def test_a_file_of_several_pieces(conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "CHUNK", 65_536)
    content = people(3_000)
    assert len(content) > 2 * 65_536
    started, new = await start(content)
    assert (new, started.state) == (True, "running")
    assert scalar(conn, "SELECT sum(length(content)) FROM lead_import_chunks") == len(content) == started.size
    import_id, books = await imported(content)
    assert (import_id, books) == (started.id, Books(3_000, 0, 0))
    assert scalar(conn, "SELECT count(DISTINCT email) FROM leads WHERE company = 'Firm, Ltd.'") == 3_000
    assert isinstance(started, LeadImport)

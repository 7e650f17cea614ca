"""The revisions: one line of history, there and back."""

from argparse import Namespace

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.conftest import ROOT


def test_history_is_one_line() -> None:
    assert len(ScriptDirectory.from_config(Config(ROOT / "alembic.ini")).get_heads()) == 1


def test_the_way_back_and_forth_again(empty_database_url: str) -> None:
    config = Config(ROOT / "alembic.ini")
    config.cmd_opts = Namespace(x=[f"url={empty_database_url}"])
    command.upgrade(config, "head")
    command.downgrade(config, "0010")
    with psycopg.connect(empty_database_url) as connection:
        left = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
    ours = {"alembic_version", "users", "email_deliveries"}
    assert {name for (name,) in left if not name.startswith("procrastinate")} == ours
    command.upgrade(config, "head")

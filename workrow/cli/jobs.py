"""``workrow cancel`` and ``workrow release``: what an operator does to single jobs."""

import sys
from typing import Any

import click

from workrow import sql
from workrow.cli.numbers import JOB_ID
from workrow.cli.where import Database
from workrow.schema import check
from workrow.schema.targets import connect


@click.command()
@click.argument("ids", nargs=-1, required=True, type=JOB_ID, metavar="ID…")
@click.option("--terminate", is_flag=True, help="End running ones whatever they do; else they are asked to abort.")
@click.pass_obj
def cancel(database: Database, ids: tuple[int, ...], terminate: bool) -> None:
    """Cancel jobs that wait, and ask running ones to abort."""
    verdicts = each_job(database, "cancel_job", ids, terminate=terminate)
    for job_id, verdict in verdicts.items():
        click.echo(f"{job_id}: {verdict or 'has ended already, or never existed'}")
    sys.exit(None in verdicts.values())


@click.command()
@click.argument("ids", nargs=-1, required=True, type=JOB_ID, metavar="ID…")
@click.pass_obj
def release(database: Database, ids: tuple[int, ...]) -> None:
    """Let quarantined jobs run again, as if they had never crashed."""
    verdicts = each_job(database, "release_quarantined", ids)
    for job_id, released in verdicts.items():
        click.echo(f"{job_id}: {'released' if released else 'is not in quarantine'}")
    sys.exit(None in verdicts.values())


def each_job(database: Database, statement: str, ids: tuple[int, ...], **params: object) -> dict[int, Any]:
    """Run a statement for each job; what it says of them."""
    with connect(database.url) as connection:
        check(connection)
        connection.commit()
        connection.autocommit = True
        return {
            job_id: (connection.execute(sql.load(statement), {"id": job_id, **params}).fetchone() or [None])[0]
            for job_id in ids
        }

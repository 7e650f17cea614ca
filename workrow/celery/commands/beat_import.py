"""``beat-import``."""

from collections import Counter
from typing import Any

import click

from workrow.celery.beat.brought import django_celery_beat, redbeat
from workrow.celery.beat.brought.entries import bring


@click.command("beat-import")
@click.option("--django-celery-beat", "tables", metavar="URL", help="A PostgreSQL with its tables.")
@click.option("--redbeat", "keys", metavar="URL", help="A Redis with its entries.")
@click.option("--key-prefix", default=redbeat.PREFIX, show_default=True, help="redbeat_key_prefix.")
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and write nothing.")
@click.pass_obj
@click.pass_context
def beat_import(
    context: click.Context, app: Any, /, tables: str | None, keys: str | None, key_prefix: str, dry_run: bool
) -> None:
    """Bring the entries of django-celery-beat or celery-redbeat to where beat sends them from.

    A second time brings what has changed there, and the times of the last runs. Ends with 1 if an entry is not taken.
    """
    if (tables is None) == (keys is None):
        raise click.UsageError("name one: --django-celery-beat URL or --redbeat URL")
    app.load()
    if tables is not None:
        source, found = django_celery_beat.SOURCE, django_celery_beat.entries(tables)
    else:
        source, found = redbeat.SOURCE, redbeat.entries(keys or "", key_prefix)
    lines = list(bring(app, source, list(found), dry_run))
    for line in lines:
        click.echo(f"{line.outcome}: {line.name}: {line.told}")
    counted = Counter(line.outcome for line in lines)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counted.items()) or "no entries"
    click.echo(f"{summary}{'; nothing was written' if dry_run else ''}")
    context.exit(1 if counted["not taken"] else 0)

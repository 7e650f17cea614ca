"""``drain``: what waits in Celery's Redis becomes jobs."""

from typing import Any

import click

from workrow.celery.bridge.drain import Drain
from workrow.celery.bridge.reading import is_redis


@click.command()
@click.option("--from", "url", metavar="URL", help="The broker, redis://…; by default the app's broker_url.")
@click.option("-Q", "--queues", metavar="A,B", help="These queues; by default those that a worker serves.")
@click.option("--dry-run", is_flag=True, help="Only say what would be moved.")
@click.option("--with-chords", is_flag=True, help="Headers of chords too; the chords' bodies are then never called.")
@click.pass_obj
def drain(app: Any, /, url: str | None, queues: str | None, dry_run: bool, with_chords: bool) -> None:
    """Move the calls that wait in Redis over, each message once; stop Celery's workers first."""
    url = url or app.conf.broker_url
    if not is_redis(url):
        raise click.UsageError("--from: must be the URL of a Redis, redis://… or rediss://…")
    app.finalize()
    names = [each.strip() for each in queues.split(",") if each.strip()] if queues else app.router.queues()
    mover = Drain(app, url, with_chords)
    mover.check()
    done = mover.look(names) if dry_run else mover.run(names)
    for task, number in sorted(done.moved.items()):
        click.echo(f"{'would be moved' if dry_run else 'moved'}: {number} of {task}")
    if done.known:
        click.echo(f"moved before: {done.known}")
    for (task, why), number in sorted(done.left.items()):
        click.echo(f"left: {number} of {task}: {why}")
    if not done.moved and not done.left and not done.known:
        click.echo(f"nothing waits in {', '.join(names)}")
    if others := mover.others(names):
        told = ", ".join(f"{number} in {queue}" for queue, number in others.items())
        click.echo(f"not looked at: {told}: name these queues, too, with -Q {','.join([*names, *others])}")
    if done.held:
        click.echo(
            f"{done.held} are with Celery's workers, which have taken them: calls that run, and those that wait for "
            "their eta. A worker that is stopped in order (SIGTERM) puts the latter back: then drain again"
        )

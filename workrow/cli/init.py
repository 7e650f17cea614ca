"""``workrow init``: a project to start from, or what a project with alembic needs to begin."""

import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from textwrap import indent
from typing import Any

import click

from workrow import schema
from workrow.errors import ConfigurationError

OPTIONAL = frozenset({"pyproject.toml", ".gitignore", "compose.yaml"})
"""Kept as they are where they are there already."""
TABLE = """\
op.create_table(
    "greetings",
    sa.Column("id", sa.Integer(), nullable=False),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.Column("greeted_at", sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_greetings")),
)"""
MIGRATE = """\
from alembic import command
from alembic.config import Config

def migrate(url: str) -> None:
    config = Config("alembic.ini")
    config.attributes["url"] = url
    command.upgrade(config, "head")

return migrate"""
CREATE = """\
import sqlalchemy as sa

def migrate(url: str) -> None:  # better: your own alembic upgrade, at this URL
    workrow.schema.upgrade(url)
    engine = sa.create_engine("postgresql+psycopg" + url[url.index("://") :], poolclass=sa.NullPool)
    database.Base.metadata.create_all(engine)

return migrate"""
NEXT = """
Next:
  pip install 'workrow[embedded]' alembic pydantic-settings pytest pytest-asyncio
  export DATABASE_URL=postgresql://…      # or leave it out, for a PostgreSQL of the project's own
  alembic upgrade head
  python -m {package}.greetings Ada
  workrow --app app.app worker            # in another terminal; or PYTHONPATH=. procrastinate --app=app.app worker
  workrow --app app.app status
  python -m pytest                        # "pytest" alone, where its pythonpath has this directory
"""
ENV = """
In {env}, let alembic see the new table, and look away from the engine's own:
  import {package}.greetings.models
  import workrow.schema
  from {package}.database import Base
  target_metadata = [*yours, Base.metadata]
  context.configure(…, include_object=workrow.schema.include_object)   # wherever it is called
"""


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--package", default="jobs", show_default=True, help="The name of the package with your domains.")
def init(directory: Path, package: str) -> None:
    """Write a project to start from: settings, an app, a domain with its table, tests, a compose file.

    In a project with alembic, its configuration stays as it is and gets two more revisions. No file is overwritten.
    """
    if not package.isidentifier() or keyword.iskeyword(package) or package in ("app", "tests", "migrations", "workrow"):
        raise ConfigurationError(
            f"--package={package}: must be a name that Python can import, such as jobs, and its own"
        )
    scripts = _scripts(directory)
    words = {
        "package": package,
        "name": re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower()).strip("-") or "project",
        "version": schema.LATEST,
        "table": indent(TABLE, "    ").strip(),
        "migrate": indent(CREATE if scripts else MIGRATE, "    ").strip(),
    }
    texts = {
        Path(*(package if part == "package" else part for part in path.parts)): Template(text).substitute(words)
        for path, text in _skeleton("both", *(() if scripts else ("fresh",))).items()
    }
    kept = [path for path in texts if (directory / path).exists()]
    if refused := [str(path) for path in kept if path.name not in OPTIONAL]:
        raise ConfigurationError(
            f"{', '.join(refused)} in {directory}: there already, and nothing was written: "
            "choose another directory, or another name with --package"
        )
    for path in texts.keys() - kept:
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(texts[path], encoding="utf-8")
    written = sorted(map(str, texts.keys() - kept))
    if scripts:
        ours = f"workrow.schema.upgrade(op, to={schema.LATEST})", "workrow.schema.downgrade(op, to=0)"
        written.append(_revision(scripts, "the tables of workrow", "import workrow.schema", *ours))
        written.append(_revision(scripts, "greetings", "", TABLE, 'op.drop_table("greetings")'))
    for name in written:
        click.echo(f"wrote {name}")
    for path in kept:
        click.echo(f"kept {path}, which was there")
    if scripts:
        click.echo(ENV.format(env=Path(scripts.dir, "env.py"), package=package), nl=False)
    click.echo(NEXT.format(package=package))


def _skeleton(*parts: str) -> dict[Path, str]:
    """The templates of these parts, by where they go."""
    found: dict[Path, str] = {}

    def walk(at: Traversable, path: Path) -> None:
        for each in at.iterdir():
            if each.is_dir():
                walk(each, path / each.name)
            else:
                found[path / each.name.removesuffix(".tpl")] = each.read_text(encoding="utf-8")

    for part in parts:
        walk(files("workrow.cli") / "skeleton" / part, Path())
    return found


def _scripts(directory: Path) -> Any:
    """The alembic of the project, an `alembic.script.ScriptDirectory`; None if it has none."""
    ini, toml = directory / "alembic.ini", directory / "pyproject.toml"
    if not ini.exists() and not (toml.exists() and "tool.alembic" in toml.read_text(encoding="utf-8")):
        return None
    try:
        from alembic.config import Config
        from alembic.script import ScriptDirectory
        from alembic.util import CommandError
    except ImportError:
        raise ConfigurationError(
            f"{directory} has an alembic, which is not installed here: pip install alembic"
        ) from None
    try:
        scripts = ScriptDirectory.from_config(Config(ini, toml_file=toml))
        scripts.get_current_head()
    except CommandError as error:
        raise ConfigurationError(f"alembic in {directory}: {error}; nothing was written") from error
    return scripts


def _revision(scripts: Any, message: str, imports: str, upgrade: str, downgrade: str) -> str:
    """Write one more revision, as `alembic revision` would; where it is."""
    from alembic.util import rev_id

    indented = {"upgrades": indent(upgrade, "    ").strip(), "downgrades": downgrade, "imports": imports}
    script = scripts.generate_revision(rev_id(), message, head="head", **indented)
    return str(Path(script.path))

"""What goes wrong is said in one line."""

from typing import Any

import click
import psycopg

from workrow.database.privileges import refused
from workrow.errors import WorkrowError
from workrow.logs import printable


class OneLineErrors(click.Group):
    """A group whose commands end with one line on stderr and exit code 1, without a traceback."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(context)
        except WorkrowError as error:
            raise _one_line(str(error)) from error
        except psycopg.errors.InsufficientPrivilege as error:
            said = str(error.diag.message_primary)
            kind = "viewer" if " view " in said else "operator" if " function " in said else "worker"
            raise _one_line(str(refused(error, kind))) from error
        except psycopg.Error as error:
            raise _one_line(f"the database says: {_said(error)}") from error


def _said(error: psycopg.Error) -> str:
    """With what stands on it or of which kind it is; but what a row holds that breaks a constraint is not shown."""
    detail = None if isinstance(error, psycopg.IntegrityError) else error.diag.message_detail
    return f"{error.diag.message_primary or error}{f' ({detail})' if detail else ''}"


def _one_line(text: str) -> click.ClickException:
    return click.ClickException(printable(" ".join(text.split())))

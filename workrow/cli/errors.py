"""What goes wrong is said in one line."""

from typing import Any

import click
import psycopg

from workrow.database.privileges import refused
from workrow.errors import WorkrowError


class OneLineErrors(click.Group):
    """A group whose commands end with one line on stderr and exit code 1, without a traceback."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(context)
        except WorkrowError as error:
            raise click.ClickException(str(error)) from error
        except psycopg.errors.InsufficientPrivilege as error:
            said = str(error.diag.message_primary)
            kind = "viewer" if " view " in said else "operator" if " function " in said else "worker"
            raise click.ClickException(str(refused(error, kind))) from error
        except psycopg.Error as error:
            raise click.ClickException(f"the database says: {error.diag.message_primary or error}") from error

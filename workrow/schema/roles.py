"""What roles may do that do not own the tables. docs/privileges.md is the table of it."""

from typing import Literal, get_args

from workrow import sql
from workrow.errors import InsufficientPrivilege, SchemaError
from workrow.schema import migrate, offline
from workrow.schema.targets import AlembicOperations, Target, opened

Kind = Literal["producer", "worker", "operator", "viewer"]
_TOLD = 3
KINDS: tuple[Kind, ...] = get_args(Kind)


def grant(target: Target, role: str, kind: Kind) -> None:
    """Let a role enqueue and wait for results ("producer"), run workers ("worker"), cancel, retry, release, pause and
    set limits ("operator", who may look, too), or only look ("viewer").

    With the least that it needs: nothing of it owns anything. A role may be of several kinds. What later upgrades bring
    is granted by them. Granted already is not an error.

    Args:
        target: as for ``upgrade``; of the role that owns the tables.
        role: the name of a role that exists.
        kind: what it is for.

    Raises:
        SchemaError: there is no such role or kind, the role owns the tables, ``target``'s role does not, or everybody
            may create in the tables' schema.
        SchemaMissing, SchemaOutdated, SchemaTooNew: see ``check``.
        DatabaseUnavailable: nothing answers at the URL.
        ConfigurationError: the URL is malformed.
    """
    _call(target, "grant_v1", role, _known(kind))


def revoke(target: Target, role: str, kind: Kind | None = None) -> None:
    """Take back what `grant` gave; of one kind, or of all (None), as before ``DROP ROLE``.

    It takes back what these kinds need, whoever granted it, also from a role that a downgrade has taken off the list.
    What the role's other kinds on the list need stays, and so does what was granted by hand elsewhere. Nothing to take
    back is not an error.

    Args:
        target: as for `grant`.
        role: the name of the role.
        kind: what it is for no longer.

    Raises:
        As `grant`.
    """
    _call(target, "revoke_v1", role, None if kind is None else _known(kind))


def check_worker(target: Target) -> None:
    """Find out before it starts whether a worker may do what it will.

    Raises:
        InsufficientPrivilege: the role of ``target`` lacks a grant.
        DatabaseUnavailable: nothing answers at the URL.
    """
    with opened(target) as run:
        rows = run(sql.load("missing_privileges"))
    if not rows:
        return
    told = "; ".join(f"{privileges} on {name}" for _, name, privileges in rows[:_TOLD])
    more = f"; and on {len(rows) - _TOLD} more" if len(rows) > _TOLD else ""
    role = rows[0][0]
    raise InsufficientPrivilege(
        f"the role {role} may not run workers, it lacks {told}{more}: "
        f"grant it as the owner of the tables, with workrow.schema.grant(url, {role!r}, 'worker')"
    )


def _call(target: Target, function: str, role: str, kind: Kind | None) -> None:
    asked = ", ".join("NULL" if each is None else _literal(each) for each in (role, kind))
    statement = f"SELECT workrow.{function}({asked})"
    if isinstance(target, AlembicOperations) and target.get_context().as_sql:
        offline.run(target, statement)
        return
    with opened(target) as run:
        migrate.checked(run)
        run(statement)


def _known(kind: str) -> Kind:
    for known in KINDS:
        if kind == known:
            return known
    raise SchemaError(f"there is no kind {kind!r} of role: give one of {', '.join(map(repr, KINDS))}")


def _literal(text: str) -> str:
    if not isinstance(text, str) or not text or "$" in text or "\0" in text:
        raise SchemaError(f"role {text!r} cannot be the name of a role: give one that CREATE ROLE has made")
    return f"$_${text}$_$"  # whatever standard_conforming_strings is

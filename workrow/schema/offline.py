"""alembic's offline mode (``--sql``): print the statements, ask nothing."""

from workrow.schema import objects, versions
from workrow.schema.targets import AlembicOperations, wait_for_locks

_REACHED = "workrow_schema_version"


def upgrade(op: AlembicOperations, to: int, lock_timeout: float | None) -> None:
    """Print what leads to ``to``: from nothing when alembic starts at base, else from the version below."""
    context = op.get_context()
    if lock_timeout is not None:
        _print(op, [wait_for_locks(lock_timeout)])
    assumed = 0 if context.opts.get("starting_rev") is None else to - 1
    for version in range(context.opts.get(_REACHED, assumed) + 1, to + 1):
        _print(op, versions.up(version))
    if to == versions.LATEST:
        _print(op, objects.statements())
    context.opts[_REACHED] = to


def downgrade(op: AlembicOperations, to: int) -> None:
    """Print what leads to ``to`` from where this script stands, else from the version above."""
    context = op.get_context()
    for version in range(context.opts.get(_REACHED, to + 1), to, -1):
        _print(op, versions.down(version))
    context.opts[_REACHED] = to


def run(op: AlembicOperations, statement: str) -> None:
    """Print one statement."""
    _print(op, [statement])


def _print(op: AlembicOperations, statements: list[str]) -> None:
    impl = op.get_context().impl
    for statement in statements:
        # not op.execute(): that would take `:name` for a parameter and turn tabs into spaces
        impl.static_output(statement + impl.command_terminator)

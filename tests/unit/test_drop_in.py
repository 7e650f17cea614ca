"""docs/drop-in.md says of every public name of the installed procrastinate whether it is the same here."""

from tests import drop_in


def test_every_name_of_procrastinate_has_its_verdict() -> None:
    known = {f"{module}: {name}" for module, each in drop_in.names().items() for name in each}
    said = drop_in.verdicts()
    assert sorted(known - said.keys()) == [], "new names: make drop-in, and say what they are"
    assert sorted(said.keys() - known) == [], "names that are gone: make drop-in"
    unsaid = [name for name, verdict in said.items() if not verdict.startswith(("same", "differs: "))]
    assert unsaid == []
    assert drop_in.PAGE.read_text().endswith(drop_in.written()), "make drop-in"


def test_the_list_is_of_all_of_procrastinate() -> None:
    found = drop_in.names()
    for module, name in (
        ("procrastinate.app", "App.with_connector"),
        ("procrastinate.blueprints", "Blueprint.periodic"),
        ("procrastinate.contrib.django.admin", "ProcrastinateJobAdmin.retry"),
        ("procrastinate.contrib.django.models", "ProcrastinateJob"),
        ("procrastinate.shell", "ProcrastinateShell.do_list_jobs"),
        ("procrastinate.__init__", "RetryStrategy"),
        ("the command line", "procrastinate schema --apply"),
        ("the command line", "procrastinate defer JSON_ARGS"),
    ):
        assert name in found[module]
    assert not any(part.startswith("_") for names in found.values() for name in names for part in name.split("."))

"""Lists the public names of Celery in ``data/celery_names.json``: ``PYTHON_WITH_CELERY tests/celery/celery_names.py``.

Modules are read as text, so that neither Django nor Sphinx has to be there; classes, commands and settings are asked.
"""

import ast
import inspect
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

LIST = Path(__file__).parent / "data" / "celery_names.json"
MODULES = ("__init__", "canvas", "result", "schedules", "signals", "exceptions", "states", "utils/log")
FOLDERS = ("app", "contrib")


def modules(package: Path) -> Iterator[tuple[str, list[str]]]:
    paths = [package / f"{name}.py" for name in MODULES]
    for folder in FOLDERS:
        paths += sorted((package / folder).rglob("*.py"))
    for path in paths:
        name = ".".join(("celery", *path.relative_to(package).with_suffix("").parts)).removesuffix(".__init__")
        if found := exported(ast.parse(path.read_text()).body):
            yield name, found


def exported(body: list[ast.stmt]) -> list[str]:
    """What ``__all__`` has, and what is defined beside it and does not begin with a line."""
    defined: set[str] = set()
    listed: set[str] = set()
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if "__all__" in names:
                listed.update(ast.literal_eval(node.value))
            defined.update(names)
    return sorted(listed | {name for name in defined if not name.startswith("_") and name != "logger"})


def members(kind: type) -> list[str]:
    """Public attributes that it does not have from Python's own classes."""
    plain = {name for base in (dict, list, object, Exception) for name in dir(base)}
    return [name for name in dir(kind) if not name.startswith("_") and name not in plain]


def parameters(*functions: Any) -> set[str]:
    left_out = {"self", "args", "kwargs", "options", "fun"}
    return {name for each in functions for name in inspect.signature(each).parameters} - left_out


def asked_for(function: Any, of: Iterable[str]) -> set[str]:
    """The words that a function gets out of the mappings `of`: ``options.get("word")``."""
    return {
        str(node.args[0].value)
        for node in ast.walk(ast.parse(inspect.getsource(function).lstrip()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("get", "pop")
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in of
        and isinstance(node.args[0], ast.Constant)
    }


def commands(group: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of the command line with its options and, in capitals, its arguments."""
    flags = [max(each.opts, key=len) for each in group.params if each.param_type_name == "option"]
    places = [each.name.upper() for each in group.params if each.param_type_name == "argument"]
    yield path, [*sorted(flags), *places]
    for name, command in sorted(getattr(group, "commands", {}).items()):
        yield from commands(command, f"{path} {name}")


def names() -> dict[str, list[str]]:
    import celery
    from celery.app import autoretry, defaults
    from celery.app.amqp import AMQP
    from celery.app.control import Control, Inspect
    from celery.app.task import Task
    from celery.bin.celery import celery as command
    from celery.bin.multi import MultiTool
    from celery.canvas import Signature, StampingVisitor, _chain, _chord, chunks, group
    from celery.result import AsyncResult, EagerResult, GroupResult, ResultSet
    from celery.schedules import crontab, schedule, solar
    from celery.worker.control import Panel

    found = dict(modules(Path(celery.__file__).parent))
    found["celery"] = sorted(name for name in celery.__all__ if name == "__version__" or not name.startswith("_"))
    classes = (
        ("Celery", celery.Celery), ("Task", Task), ("Signature", Signature), ("chain", _chain), ("group", group),
        ("chord", _chord), ("chunks", chunks), ("StampingVisitor", StampingVisitor), ("AsyncResult", AsyncResult),
        ("ResultSet", ResultSet), ("GroupResult", GroupResult), ("EagerResult", EagerResult), ("Control", Control),
        ("Inspect", Inspect), ("crontab", crontab), ("schedule", schedule), ("solar", solar),
    )  # fmt: skip
    known: set[str] = set()
    for name, kind in classes:
        # what a class has from one that is listed before it is told there
        inherited = {each for other, base in classes if base in kind.__mro__[1:] for each in found[f"{other}."]}
        found[f"{name}."] = sorted(set(members(kind)) - inherited)
        known.add(name)
    found["Celery(…)"] = sorted(parameters(celery.Celery.__init__) | asked_for(celery.Celery.__init__, ["kwargs"]))
    found["@app.task(…)"] = sorted(
        parameters(celery.Celery._task_from_fun, celery.Celery.task)
        | asked_for(autoretry.add_autoretry_behaviour, ["options"])
        | {name for name, _ in Task.from_config}
        | {
            name
            for name in dir(Task)
            if name in vars(Task) and not name.startswith("_") and not callable(getattr(Task, name))
        }
    )
    found["apply_async(…)"] = sorted(
        parameters(Task.apply_async, celery.Celery.send_task, AMQP.as_task_v2) | set(execution_options())
    )
    found["retry(…)"] = sorted(parameters(Task.retry))
    found["get(…)"] = sorted(parameters(AsyncResult.get, ResultSet.join, ResultSet.join_native))
    found["settings"] = sorted(name for name, _ in defaults.flatten(defaults.NAMESPACES))
    options = dict(commands(command, "celery"))
    found["commands"] = sorted(options)
    found["celery inspect and celery control"] = sorted(Panel.meta)
    found["celery multi"] = sorted(MultiTool().commands)
    found.update({f"options of {name}": each for name, each in options.items()})
    return {group: each for group, each in found.items() if each}


def execution_options() -> list[str]:
    """Of a task, used for its calls: what celery.app.task gives to ``extract_exec_options``."""
    import celery.app.task as module

    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "extract_exec_options":
            return [str(each.value) for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
    raise LookupError("extract_exec_options is not in celery.app.task any more")


if __name__ == "__main__":
    import celery

    told = {"celery": celery.__version__, "names": names()}
    LIST.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")

"""Every python example of docs/django.md runs, in the order of the page."""

import re
from pathlib import Path

from tests.django.process import IN_DJANGO, in_django
from tests.django.work import work

if IN_DJANGO:
    from tests.django.shop.models import Order
    from workrow.django import app, configuration

PAGE = Path(__file__).parents[2] / "docs/django.md"


@in_django
def test_the_examples_run() -> None:
    names = {"INSTALLED_APPS": [], "Order": Order, "run_worker": work, "__name__": "example"}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["WORKROW"].keys() == configuration.KEYS.keys() - {"APP"}
    assert names["TASKS"]["default"]["BACKEND"] == "workrow.django.tasks.WorkrowBackend"
    assert app.tasks.pop("example.send_invoice")

"""``workrow/schema/current.sql`` is what every upgrade leads to."""

import pytest

from tests.conftest import new_database
from tests.current_schema import FILE, PUBLIC, current, install_stock, public
from workrow import schema


@pytest.mark.parametrize("start", range(schema.LATEST))
def test_the_file_is_what_an_upgrade_leads_to(start: int, empty_database_url: str, cluster_url: str) -> None:
    if start:
        schema.upgrade(empty_database_url, to=start)
    schema.upgrade(empty_database_url)
    with new_database(cluster_url) as stock_url:
        install_stock(stock_url)
        found = current(empty_database_url, stock_url)
    assert found == FILE.read_text(), "the schema changed: run `make schema`, and look at the difference"


def test_public_views_and_functions_are_the_promised_ones(database_url: str) -> None:
    assert public(database_url) == PUBLIC.read_text(), "what people build on changed: run `make schema`, and look at it"

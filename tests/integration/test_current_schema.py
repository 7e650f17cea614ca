"""``workrow/schema/current.sql`` is what every upgrade leads to."""

import pytest

from tests.conftest import new_database
from tests.current_schema import FILE, PUBLIC, current, install_stock, public
from workrow import schema


def in_public(url: str) -> str:
    """The file has the tables in this schema, wherever a role's search_path would have them."""
    return f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Dpublic"


@pytest.mark.parametrize("start", range(schema.LATEST))
def test_the_file_is_what_an_upgrade_leads_to(start: int, empty_database_url: str, cluster_url: str) -> None:
    url = in_public(empty_database_url)
    if start:
        schema.upgrade(url, to=start)
    schema.upgrade(url)
    with new_database(cluster_url) as stock_url:
        install_stock(in_public(stock_url))
        found = current(url, in_public(stock_url))
    assert found == FILE.read_text(), "the schema changed: run `make schema`, and look at the difference"


def test_public_views_and_functions_are_the_promised_ones(database_url: str) -> None:
    assert public(database_url) == PUBLIC.read_text(), "what people build on changed: run `make schema`, and look at it"

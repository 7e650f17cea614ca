"""Phone numbers and e-mail addresses: the short ways say what the libraries say."""

from collections.abc import Callable
from typing import Any

import phonenumbers
import pytest
from email_validator import EmailNotValidError
from hypothesis import given
from hypothesis import strategies as st

from jobs.leads import phones, values
from jobs.leads.columns import field_of
from jobs.users.service import normalised_email


def example_numbers() -> list[tuple[str, str]]:
    """Numbers of all regions and kinds as people write them, each with its region."""
    found = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in range(11):
            if number := phonenumbers.example_number_for_type(region, kind):
                found += [(phonenumbers.format_number(number, style), region) for style in (0, 1, 2)]
    return found


EXAMPLES = example_numbers()


def judged(way: Callable[[str, str | None], Any], text: str, country: str | None) -> Any:
    try:
        return way(text, country)
    except phones.BadPhone as error:
        return str(error), error.fix


@given(
    st.sampled_from(EXAMPLES),
    st.lists(st.tuples(st.integers(0, 25), st.sampled_from("0123456789 -/+x")), max_size=3),
    st.sampled_from(["own", None, "US", "DE"]),
)
def test_the_short_way_says_of_a_number_what_the_library_says(
    example: tuple[str, str], edits: list[tuple[int, str]], country: str | None
) -> None:
    text, region = example
    for place, character in edits:
        text = f"{text[:place]}{character}{text[place + 1 :]}"
    country = region if country == "own" else country
    assert judged(phones.normalised_phone, text, country) == judged(phones.by_library, text, country)


def test_most_numbers_go_the_short_way() -> None:
    short = [text for text, region in EXAMPLES if phones._plain(text, region)]
    assert len(short) > 0.75 * len(EXAMPLES)


@given(
    st.text(st.sampled_from("aZ0.+-_@é \"'\0"), max_size=12),
    st.sampled_from(
        [
            "example.com",
            "x",
            "münchen.example",
            "xn--mnchen-3ya.example",
            "a..b",
            "[1.2.3.4]",
            "-a.example",
            "Example.ORG",
            "",
        ]
    ),
)
def test_the_short_way_says_of_an_address_what_the_validator_says(local: str, domain: str) -> None:
    text = f"{local}@{domain}"
    try:
        expected: str | None = normalised_email(text.strip())
    except EmailNotValidError:
        expected = None
    try:
        found: str | None = values.email_of(text)
    except values.BadValue:
        found = None
    assert found == expected


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("E-Mail Address", "email"),
        ("  phone_number ", "phone"),
        ("Zeitzone", "time_zone"),
        ("", None),
        ("Colour", None),
    ],
)
def test_columns_are_known_by_many_names(header: str, field: str | None) -> None:
    assert field_of(header) == field

"""What the e-mails say: subjects, templates, headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from functools import cache
from types import MappingProxyType
from typing import Any

import jinja2
from email_validator import validate_email

from jobs.settings import get_settings
from jobs.users.links import Purpose, link
from jobs.users.models import User
from workrow import clock


@dataclass(frozen=True)
class Letter:
    """A kind of e-mail.

    Attributes:
        kind: its name; its templates are ``<kind>.txt.j2`` and ``<kind>.html.j2``.
        subject: the subject, in which ``{name}`` is the user's, and others are what the letter is about.
        purpose: what the link in it is good for, if there is one.
    """

    kind: str
    subject: str
    purpose: Purpose | None = None


WHOLE_LINKS = policy.default.clone(max_line_length=900)
"""A link in a header that is longer than a line of the default policy would be written as an encoded word."""
WELCOME = Letter("welcome", "Welcome, {name}")
VERIFICATION = Letter("verification", "Please confirm your e-mail address", Purpose.VERIFY)
PASSWORD_RESET = Letter("password_reset", "Reset your password", Purpose.PASSWORD_RESET)
DIGEST = Letter("digest", "{count} new for you")
BULK = Letter("bulk", "{subject}")


def message_id(cause: str) -> str:
    """The Message-ID of the e-mail for this cause: the same in every attempt, so that a receiver can tell a repeat."""
    return f"<{cause}@{_ascii(get_settings().email_from.email).rpartition('@')[2]}>"


def compose(letter: Letter, user: User, *, cause: str, about: Mapping[str, Any] = MappingProxyType({})) -> EmailMessage:
    """The e-mail to the user, in plain text and in HTML, with a link and a header by which to get no more.

    Args:
        letter: which one.
        user: who gets it.
        cause: what for.
        about: values for this letter's subject and templates.
    """
    settings = get_settings()
    name = " ".join(user.name.split())  # a line break would end the header that the name is in
    unsubscribe = link(Purpose.UNSUBSCRIBE, user.id)
    values = {
        **about,
        "name": name,
        "unsubscribe": unsubscribe,
        "base_url": settings.base_url,
        "link": link(letter.purpose, user.id) if letter.purpose else None,
        "link_max_age_hours": settings.link_max_age_hours,
    }
    message = envelope(letter.subject.format(**about, name=name), name, user.email, cause=cause)
    message["List-Unsubscribe"] = f"<{unsubscribe}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058: a mail program may POST there
    message.set_content(_templates().get_template(f"{letter.kind}.txt.j2").render(values))
    message.add_alternative(_templates().get_template(f"{letter.kind}.html.j2").render(values), subtype="html")
    return message


def envelope(subject: str, name: str, address: str, *, cause: str) -> EmailMessage:
    """An e-mail to this address that has its headers and says nothing yet."""
    sender = get_settings().email_from
    message = EmailMessage(policy=WHOLE_LINKS)
    message["Subject"] = subject
    message["From"] = _mailbox(sender.name, sender.email)
    message["To"] = _mailbox(name, address)
    message["Date"] = clock.now()
    message["Message-ID"] = message_id(cause)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office reply, please
    return message


def _mailbox(name: str, address: str) -> Address:
    username, _, domain = _ascii(address).rpartition("@")
    return Address(name, username, domain)


def _ascii(address: str) -> str:
    """The address with its domain in punycode: only a local part beyond ASCII needs a server that knows SMTPUTF8."""
    return validate_email(address, check_deliverability=False).ascii_email or address


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("jobs.emails"),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

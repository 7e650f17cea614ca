"""Handing an e-mail to the mail server."""

from email.message import EmailMessage
from typing import Any

import aiosmtplib

from jobs.settings import get_settings

# "authentication required" and its kin: our settings are wrong, not the address
AUTHENTICATION = frozenset({530, 534, 535, 538})


class Unsent(Exception):
    """The e-mail did not go out; the text says why.

    Attributes:
        verdict: "refused", "bounced", "deferred" or "suppressed".
        letter: cause, kind, recipient and job_id of the e-mail, for the record.
    """

    verdict = "refused"

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.letter: dict[str, Any] = {}


class RefusedAddress(Unsent):
    """The mail server refuses this e-mail for good; the text is its code and words, ``550 5.1.1 No such mailbox``.

    The verdict is "bounced" if it was the recipient whom it refused, and not the sender or what the e-mail says.
    """


class DeliveryDeferred(Unsent):
    """The mail server does not take this e-mail now; the text is its code and words, ``451 4.7.1 Try again later``."""

    verdict = "deferred"


async def send(message: EmailMessage) -> None:
    """Send the e-mail to whom it names, on a connection of its own.

    Raises:
        RefusedAddress: trying again would be in vain.
        DeliveryDeferred: the server says to try again.
        aiosmtplib.SMTPException: no conversation with the server: unreachable, silent, without TLS, a wrong password.
    """
    settings = get_settings()
    password = settings.smtp_password
    client = aiosmtplib.SMTP(
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=password.get_secret_value() if password else None,
        use_tls=settings.smtp_tls == "tls",
        start_tls=settings.smtp_tls == "starttls",
        timeout=settings.smtp_timeout,
    )
    async with client:
        try:
            await client.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            unsent = _verdict(error.recipients[0])
            if isinstance(unsent, RefusedAddress):
                unsent.verdict = "bounced"
            raise unsent from error
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            raise _verdict(error) from error
        except aiosmtplib.SMTPNotSupported as error:
            raise RefusedAddress(error.message) from error


def _verdict(error: aiosmtplib.SMTPResponseException) -> RefusedAddress | DeliveryDeferred:
    words = f"{error.code} {' '.join(error.message.split())}"
    for_good = error.code >= 500 and error.code not in AUTHENTICATION
    return RefusedAddress(words) if for_good else DeliveryDeferred(words)

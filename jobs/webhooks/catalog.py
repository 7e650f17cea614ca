"""What the application itself tells of. Types besides these come from ``POST /webhooks/events``."""

from collections.abc import Iterable

EVENTS = {
    "user.registered": "somebody has registered",
    "user.verified": "a user has followed the link that proves their address",
    "user.deactivated": "a user was not seen for too long",
    "email.bounced": "a mail server has refused an address, which is never mailed again",
    "email.unsubscribed": "somebody wants no e-mails any more",
    "lead.import_completed": "a file of leads is imported",
    "lead.qualified": "a lead has become qualified by the rules",
    "call.ended": "a call has come to its end, whichever that is",
    "campaign.completed": "a campaign is over, cancelled or not",
}
"""The types, and what has happened then; docs/application.md has what their data are."""


def hint(types: Iterable[str]) -> str | None:
    """A word to who subscribes to types that are not in the list, and may have misspelt one; None: all are."""
    others = sorted(set(types) - EVENTS.keys() - {"*"})
    if not others:
        return None
    return (
        f"the application itself never tells of {', '.join(others)}, only who calls POST /webhooks/events; "
        f"it tells of {', '.join(EVENTS)}"
    )

"""The error of the demo."""


class DemoError(Exception):
    """The demo cannot go on; the message is one line that says what to do."""

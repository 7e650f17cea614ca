"""What goes wrong in a run."""


class BenchmarkError(Exception):
    """A run failed: one line that says what and how."""


class NotRun(Exception):
    """A peer cannot be measured here, or has no such thing: the reason is shown in its place."""

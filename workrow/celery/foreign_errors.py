"""The errors of kombu and billiard that Celery raises."""


class SoftTimeLimitExceeded(Exception):
    """Raised inside a task at its ``soft_time_limit``."""

    def __str__(self) -> str:
        return f"SoftTimeLimitExceeded{self.args!r}"


class TimeLimitExceeded(Exception):
    """The task was ended at its ``time_limit``."""

    def __str__(self) -> str:
        return f"TimeLimitExceeded{self.args!r}"


class WorkerLostError(Exception):
    """The process that ran the task has ended."""


class Terminated(Exception):
    """The task was ended by ``terminate``."""


class KombuError(Exception):
    """The root of kombu's errors."""


class OperationalError(KombuError):
    """The broker, here the database, cannot be reached."""


class SerializerNotInstalled(KombuError):
    """A serializer that nobody knows."""


class ContentDisallowed(SerializerNotInstalled):
    """A serializer that is not accepted."""


class SerializationError(KombuError):
    """A value cannot be stored or read."""


class EncodeError(SerializationError):
    """A value that cannot be stored."""


class DecodeError(SerializationError):
    """What is stored cannot be read."""

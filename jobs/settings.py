"""What the environment says: the only place that reads it."""

import base64
import difflib
import os
from collections.abc import Iterable
from functools import cache, cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, EmailStr, Field, HttpUrl, NameEmail, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL

from jobs import opening_hours
from workrow import urls
from workrow.errors import ConfigurationError

PREFIX = "WORKROW_"
# ours, but read elsewhere: by the test suite and by the `workrow` command
READ_ELSEWHERE = frozenset({"TEST_DATABASE_URL", "APP"})
DEVELOPMENT_KEY = "for development only: everybody can read it"
ACCOUNT_TIMEZONE = "Europe/Berlin"
EMBEDDED_DIRECTORY = Path(__file__).parent.parent / ".workrow"


def _libpq_url(url: str) -> str:
    try:
        return urls.libpq_url(url)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None  # pydantic collects it with the other problems


def _timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("no such time zone; use a name such as 'Europe/Berlin' or 'UTC'")
    return name


def _networks(text: str) -> str:
    for each in text.split(","):
        if each.strip():
            ip_network(each.strip())  # whose ValueError names it
    return text


def declared_timezone() -> str:
    """``account_timezone`` for schedules. They are declared at import, before anybody may complain of a setting:
    `get_settings` does when a process starts."""
    name = os.environ.get(f"{PREFIX}ACCOUNT_TIMEZONE", ACCOUNT_TIMEZONE)
    return name if name in available_timezones() else ACCOUNT_TIMEZONE


def _signing_secret(secret: SecretStr) -> SecretStr:
    try:
        if len(base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)) >= 16:
            return secret
    except ValueError:
        pass
    raise ValueError("must be whsec_ and the base64 of 16 bytes or more: copy it from the provider")


def _opening_hours(text: str) -> str:
    opening_hours.parse(text)
    return text


class Settings(BaseSettings):
    """The application's settings, from ``DATABASE_URL`` and from ``WORKROW_…``; see each field's description.

    Raises:
        pydantic.ValidationError: `get_settings` turns it into one line a problem.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True)

    given_database_url: Annotated[str, AfterValidator(_libpq_url)] | None = Field(
        None, validation_alias="DATABASE_URL", description="unset: the embedded PostgreSQL under .workrow/", repr=False
    )
    database_pool_size: int = Field(20, ge=1, description="most connections of one process, besides the worker's own")
    lease: float = Field(20.0, ge=2, description="seconds after which a silent worker's jobs go back to the queue")
    secret_key: Annotated[SecretStr, Field(min_length=16)] | None = Field(
        None, description="signs the links in e-mails; may be unset while the database is on this machine"
    )
    api_keys: Literal["required", "off"] = Field(
        "required", description="off: whoever reaches the service may do everything; for development and tests"
    )
    base_url: HttpUrl = Field(HttpUrl("http://localhost:8000"), description="where the links in e-mails lead")
    link_max_age_hours: int = Field(72, ge=1, description="how long a link in an e-mail works")
    audit_keep_days: int = Field(365, ge=1, le=36_500, description="events of the audit log are kept so long at least")
    digest_minutes: int = Field(5, ge=1, le=1440, description="so long it is quiet before notifications are mailed")
    inactive_after_days: int = Field(365, ge=1, description="users not seen for so long are deactivated")
    account_timezone: Annotated[str, AfterValidator(_timezone)] = Field(
        ACCOUNT_TIMEZONE, description="the zone of days in reports and of times in schedules"
    )
    report_to: EmailStr | None = Field(None, description="who gets the report on Mondays; unset: it is only stored")
    analytics_keep_days: int = Field(400, ge=31, le=36500, description="how long metrics and reports are kept")
    cache_max_bytes: int = Field(64 * 2**20, ge=0, description="what the cache is brought back to every minute")
    cache_max_value_bytes: int = Field(2**16, ge=1, le=2**20, description="a larger value is not cached")
    chats_purge_after_days: int = Field(30, ge=1, le=36500, description="what was deleted in chats is kept so long")
    email_from: NameEmail = Field(NameEmail("Workrow", "no-reply@workrow.example"), description="the sender")
    smtp_host: str = Field("127.0.0.1", min_length=1)
    smtp_port: int = Field(1025, ge=1, le=65535)
    smtp_username: str | None = Field(None, description="unset: no authentication")
    smtp_password: SecretStr | None = None
    smtp_tls: Literal["none", "starttls", "tls"] = "none"
    smtp_timeout: float = Field(30.0, gt=0, description="seconds that one step of the conversation may take")
    provider_url: HttpUrl = Field(HttpUrl("http://127.0.0.1:8040/"), description="who makes the calls")
    provider_key: SecretStr | None = Field(None, description="our key at the provider; unset: it wants none")
    provider_secret: Annotated[SecretStr, AfterValidator(_signing_secret)] | None = Field(
        None, description="signs the provider's events, as whsec_ and base64; unset: none is taken"
    )
    provider_timeout: float = Field(10.0, gt=0, le=300, description="seconds that an answer of the provider may take")
    call_hours: Annotated[str, AfterValidator(_opening_hours)] = Field(
        "mon-fri 09:00-18:00", description="when people are called, by their own clock"
    )
    call_stuck_after: int = Field(120, ge=1, description="seconds of silence, then the provider is asked about a call")
    call_events_keep_days: int = Field(
        90, ge=7, le=36_500, description="the provider's events of calls that have ended are kept so long"
    )
    recordings_directory: Path = Field(EMBEDDED_DIRECTORY / "recordings", description="where recordings are kept")
    recording_max_mb: int = Field(100, ge=1, le=10_000, description="a larger recording is not kept")
    recordings_keep_days: int = Field(90, ge=1, description="recordings are deleted after so long")

    lead_import_max_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, le=1024 * 1024 * 1024, description="how large a file of leads may be"
    )
    lead_files_keep_days: int = Field(30, ge=1, le=3650, description="how long an imported file's contents are kept")

    webhook_timeout: float = Field(15.0, gt=0, le=300, description="seconds from the name server to the whole answer")
    webhook_allow_http: bool = Field(False, description="whether webhooks may go to http:// as well as to https://")
    webhook_allow_networks: Annotated[str, AfterValidator(_networks)] = Field(
        "", description="networks that webhooks may go to though they are not public: 10.1.0.0/16,fd00::/8"
    )
    webhook_disable_after_days: int = Field(
        5, ge=1, description="subscriptions that only fail for so long are disabled"
    )
    webhook_keep_days: int = Field(30, ge=1, le=36_500, description="how long events and their deliveries are kept")

    @model_validator(mode="after")
    def _username_with_password(self) -> "Settings":
        if (self.smtp_username is None) != (self.smtp_password is None):
            raise ValueError("WORKROW_SMTP_USERNAME and WORKROW_SMTP_PASSWORD go together: set both or neither")
        return self

    @cached_property
    def database_url(self) -> str:
        """The database as a libpq URL. Starts the embedded PostgreSQL if no URL was given and nobody started it yet."""
        if self.given_database_url is not None:
            return self.given_database_url
        from workrow import embedded  # only who uses it pays for it

        return embedded.ensure(EMBEDDED_DIRECTORY)

    @cached_property
    def webhook_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """`webhook_allow_networks`, parsed."""
        return tuple(ip_network(each.strip()) for each in self.webhook_allow_networks.split(",") if each.strip())

    @property
    def sqlalchemy_url(self) -> str:
        """The same for SQLAlchemy, on the psycopg driver."""
        # as a query, several hosts, socket directories and every other parameter of libpq pass through unchanged
        parts = {"connect_timeout": "10"} | {key: str(value) for key, value in self._libpq.items()}
        user, password, database = (parts.pop(key, None) for key in ("user", "password", "dbname"))
        url = URL.create("postgresql+psycopg", username=user, password=password, database=database, query=parts)
        return url.render_as_string(hide_password=False)

    @property
    def signing_key(self) -> str:
        """The key that signs links.

        Raises:
            ConfigurationError: none is set and the database is on another machine, so this is no development.
        """
        if self.secret_key is not None:
            return self.secret_key.get_secret_value()
        if self.given_database_url is not None and not self._database_is_local:
            raise ConfigurationError(
                f"WORKROW_SECRET_KEY is unset, and {urls.masked(self.given_database_url)} is not on this machine: set "
                "it to the same random text for every process, for example the output of `openssl rand -hex 32`"
            )
        return DEVELOPMENT_KEY

    @property
    def _libpq(self) -> dict[str, Any]:
        return conninfo_to_dict(self.database_url)

    @property
    def _database_is_local(self) -> bool:
        hosts = str(self._libpq.get("hostaddr") or self._libpq.get("host") or "").split(",")
        return all(host in ("", "localhost", "127.0.0.1", "::1") or host[0] in "/@" for host in hosts)


@cache
def get_settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        ConfigurationError: one line for each name or value that is wrong.
    """
    problems = list(_unknown_names(os.environ))
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [_problem(each) for each in error.errors()]
    if problems:
        raise ConfigurationError("\n".join(problems)) from None
    return settings


def _unknown_names(names: Iterable[str]) -> Iterable[str]:
    known = {field.upper() for field in Settings.model_fields.keys() - {"given_database_url"}} | READ_ELSEWHERE
    for name in names:
        rest = name.removeprefix(PREFIX)
        if name != rest and rest not in known:
            near = difflib.get_close_matches(rest, known, n=1)
            listed = ", ".join(PREFIX + each for each in sorted(known))
            yield f"unknown setting {name}: " + (f"did you mean {PREFIX}{near[0]}?" if near else f"known are {listed}")


def _problem(error: Any) -> str:
    """One line for one of pydantic's errors: name, value, what is wrong, and what would be right."""
    words = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return str(words)
    name = str(error["loc"][0])
    if name == "DATABASE_URL":
        return f"DATABASE_URL: {words}"
    field = Settings.model_fields[name]
    value = "***" if "Secret" in str(field.annotation) else repr(error["input"])
    example = f"; an example: {field.default}" if field.default is not None else ""
    return f"{PREFIX}{name.upper()}={value}: {words}{example}"

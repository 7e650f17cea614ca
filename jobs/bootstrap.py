"""The composition root: settings → app → every domain's tasks."""

from datetime import timedelta

import workrow
from jobs import database
from jobs.analytics.tasks import analytics
from jobs.audit.tasks import audit
from jobs.cache.tasks import cache
from jobs.calls import http_provider
from jobs.calls.provider import Provider
from jobs.calls.recording_tasks import recordings
from jobs.calls.tasks import calls
from jobs.campaigns.tasks import campaigns
from jobs.chats.tasks import chats
from jobs.emails.tasks import emails
from jobs.leads.tasks import leads
from jobs.settings import get_settings
from jobs.users.tasks import users
from jobs.webhooks.sending import Sender
from jobs.webhooks.tasks import webhooks

HISTORY_KEPT = timedelta(days=90)


def create_app() -> workrow.App:
    """The app with every task on it. Opens nothing and reads no setting: its URL is asked for when it is opened."""
    app = workrow.App(
        database_url, sessions=database.session, lease=lambda: get_settings().lease, keep_history=HISTORY_KEPT
    )
    app.include(analytics, audit, cache, calls, campaigns, chats, emails, leads, recordings, users, webhooks)
    app.provide(Provider, http_provider.connect)
    app.provide(Sender, Sender)
    return app


def database_url() -> str:
    """Where the jobs are. Here a process with wrong settings stops, before it has touched any job.

    Raises:
        ConfigurationError: a setting is wrong, or one that this process needs is missing.
    """
    settings = get_settings()
    _ = settings.signing_key
    return settings.database_url

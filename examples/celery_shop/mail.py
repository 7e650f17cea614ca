"""Mail: goes to a real server, which is not always ready for it."""

import os
import smtplib
from email.message import EmailMessage

from examples.celery_shop import store
from examples.celery_shop.words import get_task_logger, group, shared_task

logger = get_task_logger("shop.mail")


class BadAddress(Exception):
    pass


@shared_task(
    name="shop.mail.send",
    bind=True,
    autoretry_for=(smtplib.SMTPException, OSError),
    retry_backoff=True,
    retry_backoff_max=2,
    retry_jitter=False,
    max_retries=4,
)
def send(self, to, subject):
    """Greylisted addresses are retried, unknown ones are an error of the shop's own."""
    letter = EmailMessage()
    letter["To"], letter["Subject"], letter["From"] = to, subject, "shop@shop.example"
    letter.set_content(f"{subject}.")
    with smtplib.SMTP("127.0.0.1", int(os.environ["SHOP_SMTP_PORT"]), timeout=30) as server:
        try:
            server.send_message(letter)
        except smtplib.SMTPRecipientsRefused as refused:
            if all(code >= 500 for code, _ in refused.recipients.values()):
                raise BadAddress(to) from refused
            raise
    logger.info("mail to %s: %s, by the queue %s", to, subject, self.request.delivery_info["routing_key"])
    store.count("a mail is sent")
    return to


@shared_task(name="shop.mail.readers", priority=5)
def readers():
    return sorted(customer for (customer,) in store.rows("SELECT DISTINCT customer FROM orders"))


@shared_task(name="shop.mail.newsletter", bind=True)
def newsletter(self, names, subject="News"):
    """Starts a group, and does not wait for it."""
    sent = group(send.s(f"{name}@shop.example", subject) for name in names).apply_async()
    sent.save()
    return sent.id

"""Payments: a gateway that is busy at times, cards that are declined, and a class for all of it."""

from examples.celery_shop import store
from examples.celery_shop.app import app
from examples.celery_shop.words import Task, get_task_logger

logger = get_task_logger("shop.payments")


class GatewayBusy(Exception):
    pass


class CardDeclined(Exception):
    """Has two arguments."""

    def __init__(self, customer, cents):
        super().__init__(customer, cents)
        self.customer = customer
        self.cents = cents


class PaymentTask(Task):
    """The base of all payments: retries by itself, tells what happens, keeps the rates of its process."""

    abstract = True
    autoretry_for = (GatewayBusy,)
    retry_backoff = 1
    retry_jitter = False
    max_retries = 2
    throws = (CardDeclined,)
    _rates = None

    @property
    def rates(self):
        if self._rates is None:
            self._rates = {"eur": 100, "usd": 110}
        return self._rates

    def before_start(self, task_id, args, kwargs):
        logger.info("%s before_start, retries %s", self.name, self.request.retries)

    def on_success(self, retval, task_id, args, kwargs):
        logger.info("%s on_success: %s", self.name, retval)

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        logger.info("%s on_retry: %s", self.name, exc)

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        logger.info("%s on_failure: %r, %s", self.name, exc, type(einfo).__name__)

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        logger.info("%s after_return: %s", self.name, status)
        store.count(f"{self.name} returned {status}")


@app.task(name="shop.payments.charge", base=PaymentTask, bind=True)
def charge(self, picked, customer, cents):
    """Of the class above; the gateway is busy for ben, and declines cleo."""
    tries = store.count(f"charge {customer}")
    if customer == "ben" and tries < 3:
        raise GatewayBusy(f"try {tries}")
    if customer == "cleo":
        raise CardDeclined(customer, cents)
    return f"{cents} cents for {' and '.join(picked)}"


@app.task(name="shop.payments.exchange", base=PaymentTask, bind=True)
def exchange(self, cents, currency="usd"):
    """State of the class."""
    return cents * self.rates[currency] // 100


@app.task(name="shop.payments.refund", bind=True, max_retries=2, default_retry_delay=0.3)
def refund(self, customer):
    """Retries by hand; the bank answers the third time, and never to dan."""
    try:
        if customer == "dan" or self.request.retries < 2:
            raise ConnectionError(f"no answer to {customer}, retries {self.request.retries}")
    except ConnectionError as error:
        logger.info("refund for %s: %s", customer, error)
        raise self.retry(exc=error) from error
    return f"refunded {customer}"


class Audit(app.Task):
    """A task that is a class, registered by hand."""

    name = "shop.payments.audit"
    ignore_result = False

    def run(self, month, strict=False):
        logger.info("audit of %s, strict %s", month, strict)
        return {"month": month, "strict": strict}


audit = app.register_task(Audit())


@app.task(
    name="shop.payments.poll",
    bind=True,
    autoretry_for=(GatewayBusy,),
    retry_kwargs={"max_retries": 1, "countdown": 0.3},
    dont_autoretry_for=(CardDeclined,),
)
def poll(self, customer):
    """Retries by itself, and gives up."""
    raise GatewayBusy(f"still busy for {customer}")

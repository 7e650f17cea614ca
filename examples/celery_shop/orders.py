"""Orders: from the till to the parcel."""

from examples.celery_shop import mail, payments, stock, store
from examples.celery_shop.app import app
from examples.celery_shop.words import chain, chord, exceptions, get_task_logger, shared_task

logger = get_task_logger("shop.orders")


@app.task(name="shop.orders.price")
def price(lines):
    """A plain task."""
    prices = dict(store.rows("SELECT sku, cents FROM shelf"))
    return sum(prices[sku] * pieces for sku, pieces in lines)


@app.task(name="shop.orders.discount")
def discount(cents, *, percent=0):
    """Takes what the task before it returned, and a keyword of its own."""
    return cents - cents * percent // 100


@app.task(name="shop.orders.place", bind=True)
def place(self, cents, customer, lines):
    """Writes, and sends only what the commit has made true."""
    with store.transaction() as db:
        cursor = db.execute("INSERT INTO orders (customer, cents, state) VALUES (?, ?, 'new')", (customer, cents))
        number = cursor.lastrowid
        db.executemany("INSERT INTO lines VALUES (?, ?, ?)", [(number, sku, pieces) for sku, pieces in lines])
        db.on_commit(lambda: confirm.delay(customer))
    logger.info("%s placed an order of %s cents, retries %s", customer, cents, self.request.retries)
    return number


@shared_task(name="shop.orders.confirm", ignore_result=True)
def confirm(customer):
    """A task of whatever app there is, whose result nobody asks for."""
    mail.send.delay(f"{customer}@shop.example", "We have your order")


@app.task(name="shop.orders.fulfil", bind=True)
def fulfil(self, number):
    """Is replaced by the work that it finds to do."""
    lines = store.rows("SELECT sku, pieces FROM lines WHERE number = ? ORDER BY sku", number)
    ((customer, cents),) = store.rows("SELECT customer, cents FROM orders WHERE number = ?", number)
    reserved = chord([stock.reserve.s(sku, pieces) for sku, pieces in lines], stock.picked.s())
    raise self.replace(chain(reserved, payments.charge.s(customer, cents), ship.s(number, customer)))


@app.task(name="shop.orders.ship")
def ship(paid, number, customer):
    with store.transaction() as db:
        db.execute("UPDATE orders SET state = 'shipped' WHERE number = ?", (number,))
    logger.info("the order of %s is shipped: %s", customer, paid)
    return f"parcel for {customer}"


@app.task(name="shop.orders.cancel")
def cancel(request, exc, traceback, number):
    """An errback of Celery's newer kind: called with what failed."""
    with store.transaction() as db:
        db.execute("UPDATE orders SET state = 'cancelled' WHERE number = ?", (number,))
    logger.warning("order cancelled: %s failed with %s", request.task, type(exc).__name__)
    store.count("an order is cancelled")


@app.task(name="shop.orders.note_failure")
def note_failure(uuid):
    """An errback of the older kind: a task of its own, told only the id."""
    result = app.AsyncResult(uuid)
    logger.warning("noted: %s, %r", result.state, result.result)
    store.count("a failure is noted")


@app.task(name="shop.orders.thank")
def thank(parcel, words="thank you"):
    """A link."""
    logger.info("%s: %s", parcel, words)
    store.count("thanked")


@app.task(name="shop.orders.hold", bind=True)
def hold(self, customer):
    """Leaves without a state."""
    logger.info("%s holds the line", customer)
    store.count("held")
    raise exceptions.Ignore()


@app.task(name="shop.orders.refuse", bind=True, acks_late=True)
def refuse(self, customer):
    """Gives its message away."""
    logger.info("%s is refused", customer)
    store.count("refused")
    raise exceptions.Reject("not today", requeue=False)

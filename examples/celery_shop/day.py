"""A day of the shop, chapter by chapter, and its log."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from examples.celery_shop import books, mail, orders, payments, reports, services, stock, store
from examples.celery_shop.app import app
from examples.celery_shop.words import (
    AsyncResult,
    EagerResult,
    GroupResult,
    chain,
    chord,
    exceptions,
    group,
    signature,
    states,
)

CATALOGUE = [["apple", "A", 30], ["bread", "B", 250], ["cheese", "B", 900], ["dates", "C", 400]]
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
WAIT = 60
"""Seconds for any one answer."""


class Log:
    """What the counter says as it goes; what the workers say is added at the end of each chapter, in no order."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._read = 0

    def say(self, *words: object) -> None:
        print(ID.sub("<id>", " ".join(map(str, words))), file=self._out, flush=True)

    def chapter(self, title: str) -> None:
        self.say(f"\n== {title}")

    def workers(self) -> None:
        text = (Path(os.environ["SHOP_FOLDER"]) / books.LOG).read_text()
        lines, self._read = text[self._read :].splitlines(), len(text)
        for line in sorted(ID.sub("<id>", line) for line in lines if line.startswith("shop.")):
            self.say("  ", line)

    def outcome(self, what: str, result: AsyncResult | GroupResult) -> None:
        # a chord's get() raises what its header has raised before its own state is there
        until = time.monotonic() + WAIT
        while not result.ready() and time.monotonic() < until:
            time.sleep(0.05)
        try:
            told = repr(result.get(timeout=1))
        except Exception as error:
            told = f"{type(error).__name__}{error.args}"
        self.say(f"{what}: {getattr(result, 'state', 'a group')}, {told}")


def spend(server: services.MailServer, out: TextIO) -> None:
    """One day, from the empty shop to the closed books."""
    log = Log(out)
    for part in (opening, till, fulfilment, letters, stock_taking, retries, figures, oddities, clock):
        log.chapter(part.__doc__)
        part(log)
        log.workers()
    log.chapter("the mails that came")
    for letter in sorted(server.letters):
        log.say(letter)
    log.chapter("the books: runs, how they ended, signals")
    for what, times in sorted(store.rows("SELECT what, times FROM counts WHERE what LIKE 'shop.%'")):
        # beat goes on as long as it is let; of a killed process Celery tells two failures
        if "shop.stock.watch" not in what and "shop.reports.endless" not in what:
            log.say(f"{what}: {times}")


def opening(log: Log) -> None:
    """the shop opens"""
    names = sorted(name for name in app.tasks if name.startswith("shop."))
    log.say(f"{len(names)} tasks, and the worker knows all of them:", names == registered())
    log.say("workers that answer:", [next(iter(each.values())) for each in app.control.ping(timeout=5)])
    answers = app.control.rate_limit("shop.stock.label", "100/s", reply=True, timeout=5)
    log.say("a rate limit for all:", [next(iter(each.values())) for each in answers])
    importing = stock.import_catalogue.delay(CATALOGUE)
    while importing.state != "PROGRESS" or importing.info["done"] < 2:
        importing = app.AsyncResult(importing.id)
    log.say("importing:", importing.state, importing.info, "ready:", importing.ready())
    store.count("progress was seen")
    log.outcome("imported", importing)
    log.outcome("restocked", stock.restock.chunks([(sku, 10) for sku, _, _ in CATALOGUE], 3).apply_async())


def registered() -> list[str]:
    (names,) = app.control.inspect(timeout=5).registered().values()
    return sorted(name.partition(" ")[0] for name in names if name.startswith("shop."))


def till(log: Log) -> None:
    """orders come in"""
    for customer, lines, percent in (
        ("ada", [["apple", 2], ["cheese", 1]], 10),
        ("ben", [["bread", 1], ["dates", 1]], 0),
        ("cleo", [["apple", 1], ["bread", 2]], 0),
        ("dan", [["dates", 99], ["apple", 1]], 0),
    ):
        call = orders.price.s(lines) | orders.discount.s(percent=percent) | orders.place.s(customer, lines)
        result = call.apply_async()
        log.outcome(f"order of {customer}", result)
        log.say("  before it:", result.parent.parent.get(), "and", result.parent.get())
    store.wait_for("a mail is sent", 4)


def fulfilment(log: Log) -> None:
    """orders are fulfilled, or not"""
    for number, customer in enumerate(("ada", "ben"), start=1):
        call = orders.fulfil.s(number)
        call.link(orders.thank.s(words=f"from {customer}"))
        log.outcome(f"order of {customer}", call.apply_async())
    for number, customer in enumerate(("cleo", "dan"), start=3):
        call = orders.fulfil.si(number).on_error(orders.cancel.s(number))
        call.link_error(orders.note_failure.s())
        log.outcome(f"order of {customer}", call.apply_async())
    store.wait_for("thanked", 2)
    store.wait_for("an order is cancelled", 2)
    store.wait_for("a failure is noted", 2)
    store.wait_for("shop.payments.charge returned FAILURE")
    for row in store.rows("SELECT customer, cents, state FROM orders ORDER BY number"):
        log.say(*row)


def letters(log: Log) -> None:
    """mail"""
    log.outcome("readers", readers := mail.readers.apply_async(priority=9))
    started = mail.newsletter.delay(readers.get(), subject="Monday's news")
    restored = GroupResult.restore(started.get(timeout=WAIT), app=app)
    log.say("newsletter:", restored.get(timeout=WAIT), restored.successful(), restored.completed_count())
    log.outcome("greylisted", mail.send.delay("grey@shop.example", "Patience"))
    unknown = mail.send.delay("nobody@shop.example", "Hello?")
    log.outcome("unknown", unknown)
    log.say("  its traceback ends with:", unknown.traceback.strip().splitlines()[-1])
    log.outcome("by the queue of the shop", mail.send.apply_async(("eve@shop.example", "By hand"), queue="shop"))


def stock_taking(log: Log) -> None:
    """the shelves are counted"""
    shelves = ("A", "B", "C")
    counting = group(stock.count.s(shelf) for shelf in shelves).apply_async()
    log.say("a group:", counting.get(timeout=WAIT), len(counting), counting.ready(), counting.failed())
    log.outcome("a chord", chord((stock.count.s(shelf) for shelf in shelves), stock.total.s()).apply_async())
    log.outcome("a chord by |", (group(stock.count.s(shelf) for shelf in "BC") | stock.total.s()).delay())
    log.outcome("a chord with a failure", chord([stock.count.s("B"), reports.fails.s("x")])(stock.total.s()))
    log.outcome("map", stock.label.map(["apple", "bread"]).delay())
    log.outcome("starmap", stock.restock.starmap([("apple", 1), ("bread", 2)]).delay())
    log.outcome("a signature from JSON", signature({**stock.restock.s("dates", 3)}, app=app).apply_async())
    partial = stock.restock.s("cheese")
    log.outcome("a clone", partial.clone(args=(1,)).set(queue="mail", priority=7).apply_async())
    log.say("as text:", chain(orders.price.s([]), orders.discount.s(percent=5)) | orders.place.s("x", []))


def retries(log: Log) -> None:
    """retries, by hand and by themselves"""
    log.outcome("refund for eve", payments.refund.delay("eve"))
    log.outcome("refund for dan", payments.refund.delay("dan"))
    log.outcome("polling", payments.poll.delay("eve"))
    log.outcome("exchanged", payments.exchange.delay(1000, currency="usd"))
    log.outcome("audit", payments.audit.delay("may", strict=True))


def figures(log: Log) -> None:
    """reports"""
    counted = chord([stock.count.s("B"), stock.count.s("C")], stock.total.s())
    log.outcome("summary", chord([counted, reports.orders.s()], reports.summary.s(title="The day")).apply_async())
    log.outcome("slow", reports.slow.delay())
    log.outcome("endless", reports.endless.delay())
    log.outcome("nightly", reports.nightly.delay())
    log.outcome("waits for another", reports.waits.delay())
    log.outcome("by its name", app.send_task("shop.payments.audit", ("june",), {"strict": False}))


def oddities(log: Log) -> None:
    """what is odd"""
    log.say("called as a function:", stock.label("here"), orders.discount(200, percent=50))
    eager = stock.label.apply(args=("eager",))
    log.say("applied:", type(eager) is EagerResult, eager.state, eager.get())
    log.say("applied, and fails:", reports.fails.apply(("eagerly",)).state)
    told = stock.where.apply_async((1,), {"b": [2]}, headers={"aisle": 7}, priority=4, expires=600, time_limit=50)
    for name, value in told.get(timeout=WAIT).items():
        log.say("  request:", name, value)
    late = datetime.now(UTC) + timedelta(seconds=1)
    log.say("with an eta:", stock.where.apply_async(eta=late).get(timeout=WAIT)["has eta"])
    log.outcome("in half a second", stock.label.apply_async(("later",), countdown=0.5))
    log.outcome("too late", stock.label.apply_async(("never",), expires=-1))
    waiting = stock.label.apply_async(("never",), countdown=2)
    waiting.revoke()
    log.outcome("revoked", waiting)
    done = stock.label.delay("done")
    log.outcome("done", done)
    done.forget()
    log.say("forgotten:", app.AsyncResult(done.id).state)
    stamped = stock.where.s().stamp(season="summer").apply_async().get(timeout=WAIT)
    log.say("stamped:", stamped["stamps"])
    app.conf.task_always_eager = True
    log.say("all eager:", type(stock.label.delay("inline")) is EagerResult)
    app.conf.task_always_eager = False
    log.say("never heard of:", app.AsyncResult("no such id").state, states.PENDING)
    orders.hold.delay("ada")
    orders.refuse.delay("ben")
    store.wait_for("held")
    store.wait_for("refused")
    try:
        orders.ship.delay("too few")
    except TypeError as error:
        log.say("refused at once:", type(error).__name__, error)
    failing = chain(stock.label.s("first"), reports.fails.s(), stock.label.s()).apply_async()
    log.outcome("a chain that breaks", failing.parent)
    log.say("  what follows:", failing.state, "and before:", failing.parent.parent.get())
    try:
        failing.parent.get(propagate=True)
    except KeyError as error:
        log.say("  raised again as", type(error).__name__, error)
    try:
        app.AsyncResult("no such id").get(timeout=0.2)
    except exceptions.TimeoutError as error:
        log.say("not waited for:", error)
    ignored = orders.confirm.delay("eve")
    log.say("a result that is ignored:", ignored.get(timeout=WAIT))
    store.wait_for("a mail is sent", 11)


def clock(log: Log) -> None:
    """the clock"""
    for name, entry in sorted(app.conf.beat_schedule.items()):
        log.say(f"{name}: {entry['task']},", entry["schedule"])
    crontab = app.conf.beat_schedule["nightly figures"]["schedule"]
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    crontab.app, crontab.nowfun = app, lambda: noon
    log.say("until the nightly figures, at noon of London:", crontab.remaining_estimate(noon))
    with services.child("beat", *services.celery("beat", "--loglevel", "INFO")):
        store.wait_for("beat", 2)

"""Stock: shelves that are filled, counted and emptied."""

from examples.celery_shop import store
from examples.celery_shop.app import app
from examples.celery_shop.words import get_task_logger

logger = get_task_logger("shop.stock")


class OutOfStock(Exception):
    pass


@app.task(name="shop.stock.import_catalogue", bind=True)
def import_catalogue(self, rows):
    """Tells how far it is; waits in the middle until somebody has seen it."""
    for done, (sku, shelf, cents) in enumerate(rows, start=1):
        with store.transaction() as db:
            db.execute("INSERT INTO shelf VALUES (?, ?, 0, ?)", (sku, shelf, cents))
        self.update_state(state="PROGRESS", meta={"done": done, "of": len(rows)})
        if done == 2:
            store.wait_for("progress was seen")
    return len(rows)


@app.task(name="shop.stock.restock")
def restock(sku, pieces):
    """Called in chunks."""
    with store.transaction() as db:
        db.execute("UPDATE shelf SET pieces = pieces + ? WHERE sku = ?", (pieces, sku))
    return f"{pieces} {sku}"


@app.task(name="shop.stock.reserve", throws=(OutOfStock,))
def reserve(sku, pieces):
    with store.transaction() as db:
        taken = db.execute(
            "UPDATE shelf SET pieces = pieces - ? WHERE sku = ? AND pieces >= ?", (pieces, sku, pieces)
        ).rowcount
    if not taken:
        raise OutOfStock(f"{pieces} {sku}")
    return f"{pieces} {sku}"


@app.task(name="shop.stock.picked")
def picked(parts):
    """The body of a chord."""
    logger.info("picked %s", parts)
    return parts


@app.task(name="shop.stock.count", bind=True)
def count(self, shelf):
    """A part of a group; grows the chord that it is in when a shelf has a cellar."""
    if shelf == "A" and self.request.chord:
        self.add_to_chord(count.s("cellar"))
    return sum(pieces for (pieces,) in store.rows("SELECT pieces FROM shelf WHERE shelf = ?", shelf))


@app.task(name="shop.stock.total")
def total(counts):
    return sum(counts)


@app.task(name="shop.stock.label")
def label(sku):
    """Called by map."""
    return f"[{sku}]"


@app.task(name="shop.stock.watch", ignore_result=True)
def watch(least):
    """Called by beat."""
    if store.count("beat") == 1:
        logger.info("beat watches for fewer than %s pieces", least)


@app.task(name="shop.stock.forget_old", ignore_result=True)
def forget_old():
    logger.info("nothing old")


@app.task(name="shop.stock.where", bind=True)
def where(self, *args, **kwargs):
    """What a task knows of its call."""
    request = self.request
    return {
        "args": list(request.args),
        "kwargs": request.kwargs,
        "queue": request.delivery_info["routing_key"],
        "priority": request.delivery_info["priority"],
        "root is itself": request.root_id == request.id,
        "has parent": request.parent_id is not None,
        "retries": request.retries,
        "eager": request.is_eager,
        "called directly": request.called_directly,
        "till": getattr(request, "till", None),
        "aisle": getattr(request, "aisle", None) or (request.headers or {}).get("aisle"),
        "time limits": list(request.timelimit),
        "has eta": request.eta is not None,
        "expires": request.expires is not None,
        "stamps": request.stamps,
    }

"""The app; ``worker -A examples.celery_shop.app`` finds it here."""

from examples.celery_shop.words import Celery

app = Celery(
    "shop",
    include=[f"examples.celery_shop.{name}" for name in ("books", "orders", "payments", "stock", "mail", "reports")],
)
app.config_from_object("examples.celery_shop.config")


@app.on_after_configure.connect
def add_sweeping(sender, **_):
    sender.add_periodic_task(7200.0, sender.signature("shop.stock.forget_old"), name="sweep the storeroom")

"""``python -m examples.celery_shop`` prints the log of a day; SHOP_ON=celery spends it on Celery and Redis."""

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path


def main() -> None:
    with ExitStack() as stack:
        # a clean exit removes the folder; SHOP_KEEP names one that stays, with what the processes have said
        folder = os.environ.get("SHOP_KEEP") or stack.enter_context(tempfile.TemporaryDirectory(prefix="shop"))
        Path(folder).mkdir(parents=True, exist_ok=True)
        os.environ["SHOP_FOLDER"], os.environ["SHOP_TILL"] = folder, "counter"
        from examples.celery_shop import services, store

        on_celery = os.environ.get("SHOP_ON") == "celery"
        os.environ["SHOP_URL"] = stack.enter_context(services.broker() if on_celery else services.database())
        server = stack.enter_context(services.mail_server())
        store.create()
        worker = services.celery("worker", "-Q", "shop,mail", "-c", "2", "-n", "shop@%h", "--loglevel", "INFO")
        stack.enter_context(services.child("worker", *worker))
        store.wait_for("worker_ready", seconds=60)

        from examples.celery_shop.day import spend

        spend(server, sys.stdout)


if __name__ == "__main__":
    main()

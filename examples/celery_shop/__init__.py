"""A little shop whose tasks are written for Celery, in every style that Celery's users have.

``SHOP_ON=celery python -m examples.celery_shop`` spends a day in it, on Celery 5.7 and a redis-server of its own, and
prints what stands in ``expected.log`` (what has no order is sorted, ids are masked). It needs ``celery[redis]`` and
``aiosmtpd``. Without SHOP_ON it is to be the same on workrow, as soon as the door has all that the shop uses: only
the imports in ``words.py`` differ.
"""

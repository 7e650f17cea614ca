"""Calls while the dial goes from 0 to 10, 50, 100 and back to 0 percent, and both fleets are at work.

Run by a Python that has Celery: ``python -m tests.celery.bridge_dialled CALLS``.
"""

import json
import sys
import threading
import time

from tests.celery.bridge_shop import app, count
from workrow.celery.bridge.dials import OLD_SECONDS
from workrow.celery.bridge.producing import BRIDGE

STEPS = (0, 10, 50, 100, 0)
THREADS = 4


def main() -> None:
    calls = int(sys.argv[1])
    bridge = vars(app)[BRIDGE]
    results = {}

    def send(numbers: range) -> None:
        for n in numbers:
            results[n] = count.delay(n)

    began = time.monotonic()
    for at, percent in enumerate(STEPS):
        bridge.door.store.run("celery_dial", task="shop.count", percent=percent, sticky_by=None, shadow=None)
        numbers = range(at * calls // len(STEPS), (at + 1) * calls // len(STEPS))
        # a quarter is sent at once, when this process may still believe the former dial
        half = numbers.start + len(numbers) // 4
        for part in (range(numbers.start, half), range(half, numbers.stop)):
            threads = [threading.Thread(target=send, args=(part[each::THREADS],)) for each in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            time.sleep(OLD_SECONDS + 0.1 if part.start == numbers.start else 0)
    sent = time.monotonic() - began
    got = {n: result.get(timeout=240) for n, result in results.items()}
    wrong = [n for n in range(calls) if got.get(n) != n + 1]
    told = {"calls": calls, "wrong": wrong[:5], "sent_s": round(sent, 1), "all_s": round(time.monotonic() - began, 1)}
    sys.stdout.write(json.dumps(told))
    sys.stdout.flush()


if __name__ == "__main__":
    main()

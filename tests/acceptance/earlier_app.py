"""An app for workers of any release, at first ones of before; run with nothing of this repository on the path."""

import asyncio
import os

import psycopg

import workrow

url = os.environ["EARLIER_DATABASE_URL"]
app = workrow.App(url)


@app.task(name="note")
async def note(n: int) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("INSERT INTO ran (n, release) VALUES (%s, %s)", [n, os.environ["EARLIER_RELEASE"]])
    await asyncio.sleep(0.05)


@app.task(name="hand_on")
async def hand_on(n: int) -> None:
    await note.enqueue(None, n=n)

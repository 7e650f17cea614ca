"""Sessions with several engines: a job goes where its rows go, or is refused."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

import workrow
from tests.integration.test_enqueue import sqlalchemy_url


class Model(DeclarativeBase):
    pass


class User(Model):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)


class Order(Model):
    __tablename__ = "purchases"
    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def engines(database_url: str, conn: Any) -> Iterator[tuple[sa.Engine, sa.Engine]]:
    """Two engines: each has connections of its own."""
    conn.execute("CREATE TABLE people (id bigint PRIMARY KEY)")
    conn.execute("CREATE TABLE purchases (id bigint PRIMARY KEY)")
    pair = (
        sa.create_engine(sqlalchemy_url(database_url, "psycopg")),
        sa.create_engine(sqlalchemy_url(database_url, "psycopg2")),
    )
    yield pair
    for engine in pair:
        engine.dispose()


@pytest.fixture
def task(app: workrow.App) -> Any:
    @app.task(name="t")
    async def t(n: int) -> None: ...

    return t


def together(conn: Any) -> bool:
    """Whether one transaction wrote the user and the job."""
    rows = conn.execute("SELECT xmin FROM people UNION ALL SELECT xmin FROM procrastinate_jobs").fetchall()
    return len(rows) == 2 and len(set(rows)) == 1


def nothing(conn: Any) -> bool:
    return not conn.execute("SELECT FROM people UNION ALL SELECT FROM procrastinate_jobs").fetchall()


def by_mapper(first: Any, second: Any) -> type[Session]:
    class Routing(Session):
        def get_bind(self, mapper: Any = None, **kwargs: Any) -> Any:
            return second if mapper is not None and mapper.class_ is User else first

    return Routing


def by_flushing(first: Any, second: Any) -> type[Session]:
    """As SQLAlchemy's documentation has it."""

    class Routing(Session):
        def get_bind(self, mapper: Any = None, clause: Any = None) -> Any:  # type: ignore[override]
            return second if self._flushing or isinstance(clause, sa.Update | sa.Delete) else first

    return Routing


def by_clause(first: Any, second: Any) -> type[Session]:
    class Routing(Session):
        def get_bind(self, mapper: Any = None, *, clause: Any = None, **kwargs: Any) -> Any:
            return second if mapper is not None or isinstance(clause, sa.Insert) else first

    return Routing


def by_table(first: Any, second: Any) -> type[Session]:
    class Routing(Session):
        def get_bind(self, mapper: Any = None, *, clause: Any = None, **kwargs: Any) -> Any:
            ours = isinstance(clause, sa.Insert) and clause.table.name == "procrastinate_jobs"
            return second if mapper is not None or ours else first

    return Routing


@pytest.mark.parametrize(
    ("router", "how"),
    [
        (by_flushing, "copy"),
        (by_clause, "enqueue"),
        (by_flushing, "many"),
        (by_table, "unique"),
        (by_flushing, "scoped"),
        (by_clause, "read before"),
    ],
)
def test_the_writer_gets_the_job(engines: Any, conn: Any, task: Any, router: Any, how: str) -> None:
    reader, writer = engines
    if how == "copy":
        reader, writer = writer, reader  # psycopg's
    session: Any = router(reader, writer)()
    if how == "scoped":
        session = scoped_session(sessionmaker(class_=router(reader, writer)))
    if how == "read before":
        session.execute(sa.text("SELECT 1"))
    session.add(User(id=1))
    if how == "many":
        task.enqueue_many(session, [{"n": 1}])
    elif how == "unique":
        task.options(unique=("n",)).enqueue(session, n=1)
    elif how == "copy":
        task.enqueue_copy(session, [{"n": 1}])
    else:
        task.enqueue(session, n=1)
    session.commit()
    assert together(conn)
    session.close()


async def test_of_async_sessions_too(engines: Any, conn: Any, task: Any, database_url: str) -> None:
    pair = [create_async_engine(sqlalchemy_url(database_url, driver)) for driver in ("psycopg", "asyncpg")]
    router = by_flushing(*[each.sync_engine for each in pair])
    async with AsyncSession(sync_session_class=router) as session:
        session.add(User(id=1))
        await task.enqueue(session, n=1)
        await session.commit()
    assert together(conn)
    router = by_mapper(*[each.sync_engine for each in pair])
    async with AsyncSession(sync_session_class=router) as session:
        session.add(User(id=2))
        await session.flush()
        with pytest.raises(workrow.TransactionError, match="has written on .*and its jobs go to"):
            await task.enqueue(session, n=1)
        connection = await session.connection(bind_arguments={"mapper": sa.inspect(User)})
        await task.enqueue(connection, n=1)
        await session.rollback()
    assert together(conn)
    for each in pair:
        await each.dispose()


def binds(first: Any, second: Any) -> Session:
    return Session(first, binds={User: second})


def without_default(first: Any, second: Any) -> Session:
    return Session(binds={User: second, Order: first})


def routed(first: Any, second: Any) -> Session:
    return by_mapper(first, second)()


class TestApart:
    @pytest.mark.parametrize("make", [binds, without_default, routed])
    def test_a_job_after_rows_elsewhere_is_refused(self, engines: Any, conn: Any, task: Any, make: Any) -> None:
        with make(*engines) as session:
            session.add(User(id=1))
            session.flush()
            with pytest.raises(workrow.TransactionError, match="name the connection") as refused:
                task.enqueue(session, n=1)
            assert "\n" not in str(refused.value)
            task.enqueue(session.connection(bind_arguments={"mapper": User.__mapper__}), n=1)
            session.commit()
        assert together(conn)

    @pytest.mark.parametrize("make", [binds, routed])
    def test_rows_elsewhere_after_a_job_are_refused_at_commit(
        self, engines: Any, conn: Any, task: Any, make: Any
    ) -> None:
        with make(*engines) as session:
            task.enqueue(session, n=1)
            session.add(User(id=1))
            with pytest.raises(workrow.TransactionError, match="has written on"):
                session.commit()
        assert nothing(conn)
        with make(*engines) as session:
            task.enqueue(session, n=1)
            session.execute(sa.insert(User), [{"id": 1}])
            with pytest.raises(workrow.TransactionError, match="has written on"):
                session.commit()
        assert nothing(conn)

    def test_the_next_transaction_is_free_again(self, engines: Any, conn: Any, task: Any) -> None:
        with binds(*engines) as session:
            task.enqueue(session, n=1)
            session.rollback()
            session.add(User(id=1))
            session.commit()
        assert conn.execute("SELECT count(*) FROM people").fetchone() == (1,)

    def test_reading_elsewhere_is_no_writing(self, engines: Any, conn: Any, task: Any) -> None:
        with binds(*engines) as session:
            assert session.get(User, 1) is None
            task.enqueue(session, n=1)
            session.add(Order(id=1))
            session.commit()
        rows = conn.execute("SELECT xmin FROM purchases UNION ALL SELECT xmin FROM procrastinate_jobs").fetchall()
        assert len(rows) == 2
        assert len(set(rows)) == 1

    def test_another_system_is_never_together(self, engines: Any, conn: Any, task: Any) -> None:
        other = sa.create_engine("sqlite://")
        Model.metadata.create_all(other)
        with binds(engines[0], other) as session:
            session.add(User(id=1))
            session.flush()
            with pytest.raises(workrow.TransactionError, match="has written on Engine.sqlite"):
                task.enqueue(session, n=1)
        other.dispose()


def test_one_engine_for_all_is_as_one_bind(engines: Any, conn: Any, task: Any) -> None:
    with Session(binds={User: engines[0], Order: engines[0]}, bind=engines[0]) as session:
        session.add(User(id=1))
        session.flush()
        task.enqueue(session, n=1)
        session.commit()
    assert together(conn)

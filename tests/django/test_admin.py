"""The views in Django: as models, and in its admin."""

import pytest

from tests.django.process import IN_DJANGO, in_django
from tests.django.work import order, work

if IN_DJANGO:
    from django.contrib.auth.models import Permission, User
    from django.test import Client

    from tests.django.shop.tasks import fail, ship, ship_once
    from workrow.django import admin, app
    from workrow.django.models import Job, Queue, Schedule, Worker, Workflow


def client(*permissions: str) -> "Client":
    """Of a member of the staff who may do this, or anything."""
    kind = User.objects.create_user if permissions else User.objects.create_superuser
    user = kind("someone", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    signed_in = Client()
    signed_in.force_login(user)
    return signed_in


def act(signed_in: "Client", action: str, *jobs: int) -> list[str]:
    """What the admin says to an action."""
    data = {"action": action, "_selected_action": jobs}
    return [str(each) for each in signed_in.post("/admin/workrow/job/", data, follow=True).context["messages"]]


@in_django
def test_models_are_the_views_and_only_read() -> None:
    import workrow

    ship.delay(order()), fail.enqueue("x")
    workrow.group(ship.s(1), ship.s(2)).enqueue()
    work()
    assert [str(job) for job in Job.objects.filter(status="failed")] == ["ship[4]", "tests.django.shop.tasks.fail[2]"]
    assert Queue.objects.get(queue="default").depth == 0
    assert list(Worker.objects.values_list("queues", flat=True)) in ([], [None])
    assert Schedule.objects.count() == 0
    assert Workflow.objects.get().size == 2
    job = Job.objects.get(pk=2)
    assert job.errors[0]["type"].endswith("LookupError")
    for write in (
        job.save,
        job.delete,
        Job.objects.all().delete,
        lambda: Job.objects.update(priority=1),
        lambda: Schedule.objects.create(name="x"),
        lambda: Job.objects.bulk_create([job]),
    ):
        with pytest.raises(TypeError, match=r'is the view "workrow"\."\w+", and is only read'):
            write()
    assert (job.retry(), Job.objects.get(pk=2).status) == ("queued", "todo")
    assert (job.cancel(), Job.objects.get(pk=2).status) == ("cancelled", "cancelled")


@in_django
def test_the_admin_shows_them() -> None:
    failed = fail.enqueue("because of <this>")
    work()
    signed_in = client()
    for name in ("job", "queue", "worker", "schedule", "workflow"):
        page = signed_in.get(f"/admin/workrow/{name}/")
        assert page.status_code == 200
        assert f"/admin/workrow/{name}/add/" not in page.content.decode()
    page = signed_in.get(f"/admin/workrow/job/{failed.id}/change/").content.decode()
    assert "because of &lt;this&gt;" in page
    assert 'name="_save"' not in page
    for term, found in ((failed.id, 1), ("tests.django.shop.tasks.fail", 1), ("default", 1), ("fail", 0), ("²", 0)):
        shown = signed_in.get("/admin/workrow/job/", {"q": term}).context["cl"].result_count
        assert (term, shown) == (term, found)
    assert signed_in.get("/admin/workrow/job/", {"status__exact": "failed"}).context["cl"].result_count == 1
    assert signed_in.post(f"/admin/workrow/job/{failed.id}/delete/", {"post": "yes"}).status_code == 403


@in_django
def test_its_actions_retry_and_cancel() -> None:
    failed, waiting = fail.enqueue("x"), ship_once.options(delay=3600).delay(1)
    work()
    signed_in = client()
    assert act(signed_in, "retry", int(failed.id), waiting.id) == ["1 job: not failed", "1 job: queued"]
    assert act(signed_in, "cancel", int(failed.id), waiting.id) == ["2 jobs: cancelled"]
    assert act(signed_in, "cancel", int(failed.id)) == ["1 job: ended already"]
    ship_once.delay(1)
    assert act(signed_in, "retry", waiting.id) == ["1 job: blocked"]


@in_django
def test_actions_are_for_those_who_may() -> None:
    failed = fail.enqueue("x")
    work()
    viewer = client("view_job")
    assert viewer.get("/admin/workrow/job/").status_code == 200
    assert "1 job: queued" not in act(viewer, "retry", int(failed.id))
    assert Job.objects.get(pk=failed.id).status == "failed"
    User.objects.all().delete()
    assert act(client("view_job", "retry_job"), "retry", int(failed.id)) == ["1 job: queued"]
    User.objects.all().delete()
    assert client("retry_job").get("/admin/workrow/job/").status_code == 403


@in_django
def test_the_list_counts_no_further_than_it_must() -> None:
    admin.COUNT_MOST = 3
    ship.enqueue_many(app.connector.surrounding, [{"order": each} for each in range(5)])  # type: ignore[attr-defined]
    assert client().get("/admin/workrow/job/").context["cl"].result_count == 3
    admin.COUNT_MOST = 10_000

"""What ``procrastinate --app=app.app worker`` loads."""

from jobs.bootstrap import create_app

app = create_app()

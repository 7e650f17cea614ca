"""What `workrow --app app.app worker` and `procrastinate --app=app.app worker` load."""

from $package.bootstrap import create_app

app = create_app()

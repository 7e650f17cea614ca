[project]
name = "$name"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = [
    "workrow",
    "alembic>=1.16",
    "pydantic-settings>=2.6",
    "sqlalchemy[asyncio]>=2.0.30",
]

[dependency-groups]
dev = [
    "workrow[embedded]",
    "pytest>=8.3",
    "pytest-asyncio>=0.24",
]

[tool.uv]
package = false

[tool.pytest.ini_options]
testpaths = ["tests"]
asyncio_default_fixture_loop_scope = "function"
pythonpath = ["."]

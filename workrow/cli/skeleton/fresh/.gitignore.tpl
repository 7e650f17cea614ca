.venv/
.workrow/
__pycache__/

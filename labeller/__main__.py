"""``python -m labeller`` is the command ``labeller``."""

from labeller.processes import forget_working_folder

forget_working_folder()  # which ``python -m`` searches first, before anything else is imported

from labeller.cli import main  # noqa: E402

if __name__ == "__main__":
    main()

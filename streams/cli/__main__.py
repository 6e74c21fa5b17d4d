"""`python -m streams.cli`: the same as `interlayer`, for processes that we start ourselves."""

from streams.cli.main import run

if __name__ == "__main__":
    run()

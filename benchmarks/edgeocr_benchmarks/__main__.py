"""Starts the command ``edgeocr-bench``, or says what it lacks."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    try:
        from edgeocr_benchmarks import command
    except ModuleNotFoundError as missing:
        print(
            f"edgeocr-bench: {missing.name} is not installed: pip install 'edgeocr[bench]'",
            file=sys.stderr,
        )
        return 2
    return command.main(argv)


if __name__ == "__main__":
    sys.exit(main())

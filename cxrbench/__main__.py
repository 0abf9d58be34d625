"""``python -m cxrbench``."""

from cxrbench.cli.main import main

if __name__ == "__main__":
    main()

"""``python -m cxrbench``, also as one of several processes that train together."""

import os

from cxrbench.cli.main import main

if __name__ == "__main__":
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from cxrbench.stages.train import take_part
        from cxrbench.training.processes import run_together

        run_together(main, take_part)
    else:
        main()

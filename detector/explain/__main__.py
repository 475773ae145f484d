"""`python -m detector.explain` prints docs/next-steps.md."""

import sys

from detector.explain.steps_page import page

sys.stdout.write(page())

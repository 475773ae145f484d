"""`python -m detector.settings` prints docs/settings.md."""

import sys

from detector.settings.page import page

sys.stdout.write(page())

"""`python -m moorage_backup`."""

import sys

from moorage_backup.cli import main

sys.exit(main())

"""Single-file trainers whose whole loop is jitted, and the command line that runs them: `python -m train --help`."""

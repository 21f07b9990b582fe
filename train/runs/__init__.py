"""A run on disk: its plan, its programs, its checkpoints and its figures."""

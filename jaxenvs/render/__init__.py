"""Pictures of environments from plain numbers: `canvas` has the shapes, each other file one picture."""

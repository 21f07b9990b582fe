"""Pictures of environments: `canvas` has the shapes, each other file one picture, a pure function of plain numbers."""

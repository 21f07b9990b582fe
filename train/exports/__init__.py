"""A policy to take away: as StableHLO, as NumPy, as ONNX and as a C header, with a manifest."""

"""Rigid bodies in a plane, as plain functions of arrays: contacts with a ground of edges, and impulses of a hinge."""

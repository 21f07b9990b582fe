"""Physics as plain functions of arrays, which environments share."""

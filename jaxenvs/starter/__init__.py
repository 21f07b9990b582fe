"""What `python -m jaxenvs new` writes: complete environments with discrete and with continuous actions."""

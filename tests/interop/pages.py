"""The examples of the documentation that need a client's library."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page, client):
    """The code of the page's blocks that are marked with a client's name."""
    return re.findall(rf"^```python {client}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)

"""axe-core, which finds what keeps people from using a page, pinned and kept with the tools."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from escalade.errors import InfrastructureError
from escalade.runtime.wheels import Wheel, unpack
from support import require_or_skip

_TOOLS = Path(__file__).parents[3] / ".tools"
# axe-core 4.12.1; only its JavaScript is used of the wheel.
_AXE = Wheel(
    "axe-playwright-python",
    "0.1.8",
    ("fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8",),
    "axe_playwright_python",
)
_RUN = """
axe.run(document, {runOnly: %s})
  .then(found => found.violations.map(each =>
    [each.impact, each.id, each.nodes.slice(0, 3).map(node => node.html.slice(0, 160))]))
"""
ALL = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
"""What alone can differ between light and dark."""


def checked(rules: object) -> str:
    """Give what checks a page into which `script` was put: impact, rule and places of each violation."""
    return _RUN % json.dumps(rules)


def script() -> str:
    """Give axe-core's JavaScript, fetched once; without a network the test is skipped."""
    kept = _TOOLS / f"axe-{_AXE.version}" / "axe.min.js"
    if not kept.exists():
        _TOOLS.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=_TOOLS, prefix=".axe-"))
        try:
            found = folder / unpack(_AXE, folder) / kept.name
            kept.parent.mkdir(exist_ok=True)
            found.replace(kept)
        except InfrastructureError as error:
            require_or_skip("axe", f"axe-core could not be fetched: {error}")
        finally:
            shutil.rmtree(folder)
    return kept.read_text(encoding="utf-8")

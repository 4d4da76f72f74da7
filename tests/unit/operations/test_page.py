"""The example of the documentation runs, and brings nothing along that a service does not need."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs" / "operations-metrics.md"
HEAVY = ("numpy", "pandas", "pyarrow", "scipy", "matplotlib", "pydantic", "escalade.analysis")


def run(code: str) -> str:
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout


def test_the_example_shows_what_the_table_promises_and_imports_no_tables() -> None:
    text = DOCS.read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)

    told = run(f"{example}\nimport sys\nprint('loaded', *sys.modules)")

    page, _, loaded = told.rpartition("loaded ")
    for name in re.findall(r"^\| `(\w+)` \| (?:counter|gauge|histogram)", text, flags=re.MULTILINE):
        assert f"# TYPE {name} " in page
    assert 'cache_hit_rate{cache_type="llm",mode="fast"} 0.5' in page
    assert 'cache_hit_rate{cache_type="llm",mode="creative"}' not in page
    assert 'http_requests_total{mode="fast",status="200"} 1.0' in page
    assert "llm_queue_length 2.0" in page
    assert not {*HEAVY} & {*loaded.split()}

"""The report made by different processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]


def test_the_hash_seed_and_the_time_zone_have_no_part_in_the_page() -> None:
    program = (
        "from unit.report import campaign; from escalade.report.page import render; import hashlib;"
        "page = render(campaign.report_data(rates=(1.0, 2.0)));"
        "print(hashlib.sha256(page.encode()).hexdigest())"
    )

    def started(seed: str, zone: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(TESTS)}
        command = [sys.executable, "-c", program]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    running = [started("1", "UTC"), started("2", "Asia/Tokyo")]
    digests = [process.communicate()[0] for process in running]

    assert len(digests[0].strip()) == 64
    assert digests[0] == digests[1]

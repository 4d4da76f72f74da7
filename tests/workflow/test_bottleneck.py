"""What saturates first, measured: a service whose limit is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from escalade.files import read_json
from workplace import deployment

if TYPE_CHECKING:
    from workplace import Workplace

SERVICE = {"slots": 2, "ttft_seconds": 0.1, "itl_seconds": 0.05}
"""With four tokens an answer takes a quarter of a second: two slots do eight requests per second."""
RATES = (2, 4, 20)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(300)
def test_slots_of_an_idle_service_are_found_to_be_its_limit(workplace: Workplace) -> None:
    rungs = [{"target_qps": rate, "window_seconds": 10} for rate in RATES]
    workplace.write(
        deployments=[deployment("sleeps", **SERVICE)],
        workload={"kind": "openai_chat", "input_tokens": 8, "output_tokens": 4},
        load={
            "arrivals": "constant",
            "warmup_seconds": 2,
            "drain_timeout_seconds": 40,
            "ladder": rungs,
        },
        slos=[],
    )
    code, output = workplace.run()
    assert code == 0, output

    verdicts = read_json(workplace.results / "verdicts.json", "verdicts")
    (row,) = verdicts["bottlenecks"]
    found = {each["resource"]: each["outcome"] for each in row["ranking"]}

    assert (row["outcome"], row["resource"], row["step"]) == ("found", "slots", 3), row["words"]
    assert found["service_cpu"] == "not full"
    assert found["client"] == "not full"
    rules = [each["rule"] for each in verdicts["findings"] if each["kind"] == "limit"]
    assert rules == ["limited-by-slots", "queue-grows"]
    page = (workplace.results / "report.html").read_text(encoding="utf-8")
    assert "A configured limit holds the service back, not the hardware" in page

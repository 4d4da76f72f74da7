"""What is on record of the made-up campaign: the machine and the service, the software and the command."""

from __future__ import annotations

from typing import Any

METRIC_NAMES = {
    "queue_length": "llamacpp:requests_deferred",
    "output_tokens_total": "llamacpp:tokens_predicted_total",
}


def environment() -> dict[str, Any]:
    """Give the environment of a laptop with two cores and no GPU."""
    return {
        "schema": 1,
        "node": {
            "hostname": "laptop",
            "cpu_model": "Example CPU @ 2.40GHz",
            "cpus": 2,
            "memory_bytes": 8 * 2**30,
            "kernel": "6.1.0-18-amd64",
            "os": "Debian GNU/Linux 12",
        },
        "gpus": [],
        "gpu_note": "no GPU",
        "allocation": {"client_cpus": [0], "service_cpus": [1]},
        "prometheus": {"version": "2.42.0", "path": "prometheus"},
        "exporters": {"node_exporter": {"version": "1.5.0"}},
        "service": {
            "recipe": "llama-server",
            "argv": ["python", "-m", "escalade.services.llama_server", "--slots", "2"],
            "version": "2026.10.11549",
            "ready_seconds": 0.9,
            "models": [
                {
                    "name": "SmolLM2-135M",
                    "path": "SmolLM2-135M-Instruct.Q4_1.gguf",
                    "sha256": "5e" * 32,
                    "declared_bytes": 260_000_000,
                    "measured_bytes": 246_000_000,
                }
            ],
        },
        "metric_names": dict(METRIC_NAMES),
        "agreement": {"quantity": "output_tokens", "metric": "llamacpp:tokens_predicted_total"},
    }


def provenance() -> dict[str, Any]:
    """Give what is known about the software and the command."""
    return {
        "schema": 1,
        "campaign": "demo",
        "command": "snakemake --profile profiles/local",
        "reproduce": [
            "escalade run results/demo/campaign.resolved.yaml",
            "escalade replay results/demo",
        ],
        "seeds": {"smollm2_rep-1_12c0ffee": 7},
        "driver": {"hostname": "laptop", "cpus": 2},
        "software": {
            "escalade": "0.1.0",
            "python": "3.11.7",
            "packages": {"numpy": "2.4.6", "pandas": "3.1.1"},
            "lock_sha256": "7d" * 32,
        },
        "source": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
    }

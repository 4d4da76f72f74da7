"""How a campaign was called: its file, its profile, and what is asked beside them."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.campaign.configuration import merged, profile_configuration, read_configuration
from escalade.campaign.project import profile_folder, project_root
from escalade.campaign.run import RETRY_FAILED, RUN_ID, SMOKE, open_run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from escalade.campaign.run import CampaignRun


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call of `escalade run` or `escalade submit`.

    Parameters
    ----------
    config
        The campaign's YAML file.
    profile
        Snakemake profile.
    retry_failed
        Measure failed cells once more.
    smoke
        Run the campaign cut down to minutes, apart from its own results.
    """

    config: Path
    profile: str
    retry_failed: bool = False
    smoke: bool = False

    def open(self) -> CampaignRun:
        """Open the campaign as Snakemake is going to see it, for a new run.

        Raises
        ------
        InputError
            When the configuration or the profile can't be used.
        """
        os.environ.pop(RUN_ID, None)
        content = merged(read_configuration(self.config), profile_configuration(self.profile))
        return open_run({**content, **self._beside()}, [str(self.config)])

    def words(self, verb: str) -> list[str]:
        """Give the command line, as `words("submit")` for that of `escalade submit`."""
        options = {"--retry-failed": self.retry_failed, "--smoke": self.smoke}
        asked = [option for option, wanted in options.items() if wanted]
        return ["escalade", verb, str(self.config), "--profile", self.profile, *asked]

    def snakemake(self, targets: Sequence[str] = ()) -> list[str]:
        """Give the command that runs the workflow, for these targets or all."""
        program = [sys.executable, "-m", "snakemake", "--snakefile"]
        command = [*program, str(project_root() / "Snakefile"), *targets]
        command += [
            "--profile",
            str(profile_folder(self.profile)),
            "--configfile",
            str(self.config),
        ]
        asked = [f"{key}=true" for key, wanted in self._beside().items() if wanted]
        if not asked:
            return command
        # --config takes the place of the profile's own, so that has to be said again
        profile = profile_configuration(self.profile)
        told = [f"{key}={json.dumps(value)}" for key, value in profile.items()]
        return [*command, "--config", *asked, *told]

    def _beside(self) -> dict[str, bool]:
        return {RETRY_FAILED: self.retry_failed, SMOKE: self.smoke}

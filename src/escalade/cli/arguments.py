"""Arguments that several commands on campaigns have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Configuration = Annotated[Path, typer.Argument(help="The campaign's YAML file.")]
Results = Annotated[Path, typer.Argument(help="The campaign's folder, as in results/demo.")]

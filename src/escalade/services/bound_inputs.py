"""What a recipe says of its service's upper bounds: see docs/bounds.md.

A quantity is a number, or a parameter of the recipe in braces. One whose parameter is not set, or 0,
is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from escalade.services.parameters import Value
from escalade.services.templates import fill_values, placeholders
from escalade.services.validation import Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def _placeholder(written: float | str) -> float | str:
    if isinstance(written, str):
        names = placeholders(written)
        if len(names) != 1 or written != f"{{{names[0]}}}":
            raise ValueError("expected a number, or one parameter in braces, as in {slots}")
    return written


Quantity = Annotated[
    Annotated[float, Field(gt=0, allow_inf_nan=False)] | str, AfterValidator(_placeholder)
]
"""A number, or a parameter of the recipe in braces."""


class TokenInputs(Section):
    """What generating tokens reads and computes."""

    device: Literal["cpu", "gpu"] = "cpu"
    """Whose memory and arithmetic the model is in."""
    sequences: Quantity | None = None
    """Sequences that share one read of the weights: slots, or the largest batch."""
    model_bytes: Quantity | None = None
    """Bytes of the model that are read for a token; of a GGUF file of the catalogue its header says them."""
    active_parameters: Quantity | None = None
    """Weights that a token is multiplied with; of a GGUF file its header says them."""
    cache_bytes_per_token: Quantity | None = None
    """Bytes in the cache of keys and values for each token of a sequence's context; of a GGUF file they follow
    from its header, as 16-bit values."""


class ScanInputs(Section):
    """What an exact search reads of each vector."""

    vectors: Quantity
    """Vectors in the collection."""
    dimensions: Quantity
    """Dimensions of each, four bytes a dimension."""
    when: dict[str, Value] = Field(default_factory=dict)
    """Values of parameters with which every query reads the whole collection; with others there is no bound."""


class ConfiguredInputs(Section):
    """Service times that are set, as those of the truth server."""

    slots: Quantity | None = None
    """Requests that are answered together."""
    request_seconds: Quantity | None = None
    """Time of a request without tokens."""
    first_token_seconds: Quantity | None = None
    """Time to the first token."""
    token_seconds: Quantity | None = None
    """Time of each further token."""
    batch_sequences: Quantity | None = None
    """Sequences that are decoded together, instead of each in a slot."""
    step_seconds: Quantity | None = None
    """Of such decoding: time of a step."""
    sequence_seconds: Quantity | None = None
    """Of such decoding: what each sequence adds to a step."""
    prefill_seconds: Quantity | None = None
    """Of such decoding: what each token of a prompt adds to the step that reads it."""


class BoundInputs(Section):
    """What the bounds of a service are computed from; what it leaves out has no bound."""

    tokens: TokenInputs | None = None
    """Of a service that generates tokens."""
    scan: ScanInputs | None = None
    """Of a service that searches vectors."""
    transfer: bool = False
    """Whether what it does is to move bytes: link and disk bound it."""
    configured: ConfiguredInputs | None = None
    """Of a service whose times are set."""
    replicas: Quantity | None = None
    """Copies of the service behind one address; those of a campaign with one copy say what is ideal."""

    def templates(self) -> Iterator[str]:
        """Give every placeholder."""
        quantities = [self.replicas]
        for part in (self.tokens, self.scan, self.configured):
            quantities += [] if part is None else list(vars(part).values())
        yield from (each for each in quantities if isinstance(each, str) and each.startswith("{"))

    def parameters(self) -> set[str]:
        """Name the parameters that `scan.when` looks at."""
        return set() if self.scan is None else set(self.scan.when)

    @property
    def replicas_parameter(self) -> str | None:
        """Name of the parameter that says how many replicas there are."""
        return placeholders(self.replicas)[0] if isinstance(self.replicas, str) else None

    def settled(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """Give what is known with these values of the parameters, as plain JSON content."""
        content: dict[str, Any] = {}
        if self.tokens is not None:
            content["tokens"] = {"device": self.tokens.device, **_known(self.tokens, values)}
        if self.scan is not None:
            exact = all(values.get(name) == value for name, value in self.scan.when.items())
            content["scan"] = {"exact": exact, **_known(self.scan, values)}
        if self.configured is not None:
            content["configured"] = _known(self.configured, values)
        if self.replicas is not None:
            content |= fill_values({"replicas": self.replicas}, values)
        return content | ({"transfer": True} if self.transfer else {})


def _known(part: Section, values: Mapping[str, Value]) -> dict[str, float]:
    written = {name: value for name, value in vars(part).items() if value is not None}
    filled = fill_values(written, values)
    return {
        name: value
        for name, value in filled.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    }

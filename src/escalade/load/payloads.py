"""Prompts that no cache has seen: seeded, distinct, and readable.

The first words spell the payload's number in a mixed-up base, so two prompts part
within a few words and a prompt cache can't answer for the model.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.load.words import WORDS

if TYPE_CHECKING:
    from escalade.load.arrival import Arrival
    from escalade.load.prompts import Messages, PromptSet

_BASE = len(WORDS)
_HEAD_WORDS = 3  # spell up to 512**3 numbers
_WORDS_PER_SENTENCE = 12
_PREFIXES = _BASE**_HEAD_WORDS  # numbers beyond any payload's, for what prompts share
_STRIDE = 0x9E3779B1  # odd, so multiplying by it only reorders the numbers below 512**k


@dataclass(frozen=True)
class Prefix:
    """A beginning that prompts share, for studies of prompt caches.

    Parameters
    ----------
    tokens
        Its length, approximate as that of prompts; it comes before the prompt's own.
    groups
        How many different ones there are; requests take them in turn, by their payload.
    """

    tokens: int
    groups: int

    def text(self, seed: int, payload_id: int) -> str:
        """Give the beginning of a prompt: the same for all payloads of its group."""
        return prompt(seed, _PREFIXES + payload_id % self.groups, self.tokens)


@dataclass(frozen=True)
class Payloads:
    """What the requests of a step say.

    Parameters
    ----------
    seed
        Of the cell.
    prompts
        Given prompts; None makes them.
    prefix
        What they share at their beginning, if anything.
    """

    seed: int = 0
    prompts: PromptSet | None = None
    prefix: Prefix | None = None

    def text(self, request: Arrival) -> str:
        """Give the prompt of a request in one piece."""
        if self.prompts is not None:
            return self._shared(request) + self.prompts.text(request.payload_id)
        made = prompt(self.seed, request.payload_id, request.input_tokens)
        return self._shared(request) + made

    def messages(self, request: Arrival) -> Messages:
        """Give the prompt of a request as a chat begins."""
        if self.prompts is None:
            return [{"role": "user", "content": self.text(request)}]
        given = self.prompts.of(request.payload_id)
        if self.prompts.are_scripts:
            given = given[max(0, request.turn - 1) :][:1]
        elif request.turn > 1:  # what the service is told at the beginning stands there already
            given = [message for message in given if message["role"] != "system"] or given
        first, *others = given
        shared = f"{self._shared(request)}{first['content']}"
        return [first | {"content": shared} if self.prefix else first, *others]

    def _shared(self, request: Arrival) -> str:
        if self.prefix is None or request.turn > 1:
            return ""
        return f"{self.prefix.text(self.seed, request.payload_id)} "


def prompt(seed: int, payload_id: int, input_tokens: int) -> str:
    """Make the prompt of one request.

    Parameters
    ----------
    seed
        Of the cell; another seed gives other prompts.
    payload_id
        Number of the request, 0 or more. Prompts of one seed differ from each
        other in their first words: those of 512 consecutive ids in the very first.
    input_tokens
        Length asked for. Approximate: a common word or a full stop is one token
        of the usual vocabularies. At least three words are made.

    Returns
    -------
    str
        Sentences of common English words.
    """
    words = _head(seed, payload_id)
    wanted = input_tokens - input_tokens // (_WORDS_PER_SENTENCE + 1)
    rest = random.Random((seed << 64) | payload_id)
    words += rest.choices(WORDS, k=max(0, wanted - len(words)))
    sentences = (
        " ".join(words[start : start + _WORDS_PER_SENTENCE])
        for start in range(0, len(words), _WORDS_PER_SENTENCE)
    )
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)


def _head(seed: int, payload_id: int) -> list[str]:
    count = _HEAD_WORDS
    while payload_id >= _BASE**count:
        count += 1
    shift = int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest())
    number = (payload_id * _STRIDE + shift) % _BASE**count
    words = []
    for _ in range(count):
        number, digit = divmod(number, _BASE)
        words.append(WORDS[digit])
    return words

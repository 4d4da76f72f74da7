"""Prompts that no cache has seen: seeded, distinct, and readable.

The first words spell the payload's number in a mixed-up base, so two prompts part
within a few words and a prompt cache can't answer for the model.
"""

from __future__ import annotations

import hashlib
import random

from escalade.load.words import WORDS

_BASE = len(WORDS)
_HEAD_WORDS = 3  # spell up to 512**3 numbers
_WORDS_PER_SENTENCE = 12
_STRIDE = 0x9E3779B1  # odd, so multiplying by it only reorders the numbers below 512**k


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

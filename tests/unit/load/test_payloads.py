"""Prompts: distinct from the first words on, seeded, about as long as asked for."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.load.payloads import prompt
from escalade.load.words import WORDS

seeds = st.integers(0, 2**63)
numbers = st.integers(0, 10**9)


def head(text: str, count: int) -> list[str]:
    return text.lower().replace(".", "").split()[:count]


def test_the_vocabulary_has_512_distinct_words() -> None:
    assert len(set(WORDS)) == len(WORDS) == 512
    assert all(word.isalpha() and word.islower() for word in WORDS)


@given(seeds, numbers, st.integers(0, 300))
def test_the_same_seed_and_number_give_the_same_prompt(seed: int, number: int, tokens: int) -> None:
    assert prompt(seed, number, tokens) == prompt(seed, number, tokens)


@given(seeds, numbers, numbers)
def test_two_prompts_differ_within_their_first_words(seed: int, one: int, other: int) -> None:
    count = 3 if max(one, other) < 512**3 else 4
    same = head(prompt(seed, one, 30), count) == head(prompt(seed, other, 30), count)

    assert same == (one == other)


@settings(max_examples=10)
@given(seeds, st.integers(0, 10**6))
def test_512_prompts_in_a_row_each_start_with_another_word(seed: int, number: int) -> None:
    first = {head(prompt(seed, number + k, 3), 1)[0] for k in range(512)}

    assert len(first) == 512


@given(st.integers(0, 10**6))
def test_another_seed_gives_other_prompts(number: int) -> None:
    assert prompt(1, number, 30) != prompt(2, number, 30)


@given(seeds, numbers, st.integers(5, 2000))
def test_words_and_full_stops_add_up_to_the_tokens_asked_for(
    seed: int, number: int, tokens: int
) -> None:
    text = prompt(seed, number, tokens)

    assert abs(len(text.split()) + text.count(".") - tokens) <= 1


def test_a_prompt_reads_as_sentences() -> None:
    text = prompt(7, 3, 40)

    assert text[0].isupper()
    assert text.endswith(".")
    assert all(len(sentence.split()) <= 12 for sentence in text.split("."))

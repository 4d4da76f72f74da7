"""Models on GPUs: the document's cases, what is always kept, and what is best."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.gpu.placement import Card, Placement, first_fit_decreasing, place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GB = 10**9
THREE = {"qwen_32b": 16 * GB, "mistral_7b": 4 * GB, "llama3_8b": 5 * GB}


def cards(*gigabytes: float) -> list[Card]:
    return [Card(str(number), round(size * GB)) for number, size in enumerate(gigabytes)]


def free_share(found: Placement, given_cards: Sequence[Card]) -> dict[str, float]:
    return {card.name: found.free_bytes[card.name] / card.total_bytes for card in given_cards}


def test_forty_gigabytes_hold_all_three_on_one_gpu() -> None:
    found = place(THREE, cards(40))

    assert found.on == dict.fromkeys(("llama3_8b", "mistral_7b", "qwen_32b"), ("0",))
    assert found.strategy == "one GPU"
    assert found.free_bytes == {"0": 15 * GB}
    assert found.optimal


def test_two_of_twenty_four_hold_the_large_one_beside_the_two_small_ones() -> None:
    found = place(THREE, cards(24, 24))

    assert found.on == {"llama3_8b": ("1",), "mistral_7b": ("1",), "qwen_32b": ("0",)}
    assert found.strategy == "2 GPUs"
    assert found.free_bytes == {"0": 8 * GB, "1": 15 * GB}


def test_under_twenty_four_two_models_are_left_and_the_large_one_is_offloaded() -> None:
    found = place(THREE, cards(16))

    assert found.on == {"llama3_8b": ("0",), "mistral_7b": ("0",)}
    assert found.offloaded == ("qwen_32b",)
    assert found.strategy == "CPU offload"


def test_a_model_that_no_gpu_holds_alone_is_cut_evenly() -> None:
    found = place({"llama3_70b": 140 * GB, "small": 10 * GB}, cards(80, 80, 80, 80))

    assert found.on["llama3_70b"] == ("0", "1", "2", "3")  # 70 of 64 GB would be over on two
    assert found.on["small"] == ("0",)
    assert found.free_bytes == {"0": 35 * GB, "1": 45 * GB, "2": 45 * GB, "3": 45 * GB}


def test_what_a_gpu_has_in_use_counts() -> None:
    busy = Card("busy", 24 * GB, used_bytes=20 * GB)

    found = place({"small": 5 * GB}, [busy, *cards(10)])

    assert found.on == {"small": ("0",)}
    assert place({"small": 1}, [busy]).offloaded == ("small",)


def test_first_fit_decreasing_is_beaten_where_it_wastes() -> None:
    models = {"a": 4, "b": 4, "c": 3, "d": 3, "e": 3, "f": 3}
    two = [Card("0", 10), Card("1", 10)]  # 4 + 4 and 3 + 3 + 3 leave a 3; 4 + 3 + 3 twice does not

    assert first_fit_decreasing(models, two, headroom=0)["f"] == ()
    assert len(place(models, two, headroom=0).on) == 6


def test_without_gpus_all_is_offloaded_as_far_as_the_host_goes() -> None:
    found = place(THREE, [], host_bytes=10 * GB)

    assert found.offloaded == ("llama3_8b", "mistral_7b")
    assert found.nowhere == ("qwen_32b",)
    assert found.strategy == "not all can be placed"
    assert place({}, []).strategy == "nothing to place"


@pytest.mark.parametrize(
    ("models", "gpus", "headroom", "words"),
    [
        ({"a": -1}, cards(1), 0.2, "model a: its size is -1"),
        ({"a": 1}, cards(1), 1.0, "expected a share from 0"),
        ({"a": 1}, [Card("0", 0)], 0.2, "GPU 0: 0 of 0"),
        ({"a": 1}, [Card("0", 5, 6)], 0.2, "GPU 0: 6 of 5"),
        ({"a": 1}, [Card("0", 5), Card("0", 6)], 0.2, "two have the same name"),
    ],
)
def test_what_cannot_be_used_is_refused(
    models: Mapping[str, int], gpus: Sequence[Card], headroom: float, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        place(models, gpus, headroom=headroom)


sizes = st.lists(st.integers(0, 60), max_size=6).map(
    lambda found: {f"m{number}": size for number, size in enumerate(found)}
)
several = st.lists(
    st.tuples(st.integers(1, 60), st.floats(0, 1)).map(lambda it: (it[0], int(it[0] * it[1]))),
    max_size=4,
).map(lambda found: [Card(str(n), total, used) for n, (total, used) in enumerate(found)])
shares = st.sampled_from([0.0, 0.1, 0.2, 0.5])


@given(models=sizes, gpus=several, headroom=shares)
def test_no_gpu_that_got_a_model_is_filled_beyond_its_headroom(
    models: dict[str, int], gpus: list[Card], headroom: float
) -> None:
    found = place(models, gpus, headroom=headroom)

    got = {name for model, names in found.on.items() for name in names if models[model]}
    for card in gpus:
        if card.name in got:
            assert found.free_bytes[card.name] >= card.total_bytes * headroom
    assert sorted([*found.on, *found.offloaded, *found.nowhere]) == sorted(models)


@given(models=sizes, gpus=several, headroom=shares, seed=st.integers())
def test_the_order_of_the_models_does_not_matter(
    models: dict[str, int], gpus: list[Card], headroom: float, seed: int
) -> None:
    names = list(models)
    random.Random(seed).shuffle(names)

    assert place({name: models[name] for name in names}, gpus, headroom=headroom) == place(
        models, gpus, headroom=headroom
    )


def counted(models: Mapping[str, int], on: Mapping[str, tuple[str, ...]]) -> tuple[int, int]:
    placed = [name for name, names in on.items() if names]
    return len(placed), sum(models[name] for name in placed)


@given(models=sizes, gpus=several, headroom=shares)
def test_it_is_never_worse_than_first_fit_decreasing(
    models: dict[str, int], gpus: list[Card], headroom: float
) -> None:
    simple = first_fit_decreasing(models, gpus, headroom)

    assert counted(models, place(models, gpus, headroom=headroom).on) >= counted(models, simple)
    assert counted(models, place(models, gpus, headroom=headroom, most_nodes=3).on) >= counted(
        models, simple
    )


@given(
    models=st.lists(st.integers(1, 12), max_size=5).map(
        lambda found: {f"m{number}": size for number, size in enumerate(found)}
    ),
    totals=st.lists(st.integers(12, 20), min_size=1, max_size=3),
)
def test_nothing_better_exists_for_small_sets(models: dict[str, int], totals: list[int]) -> None:
    """By trying all placements on single GPUs: every model fits on every one of them alone."""
    gpus = [Card(str(number), total) for number, total in enumerate(totals)]
    best = (0, 0)
    for chosen in itertools.product([None, *range(len(gpus))], repeat=len(models)):
        loads = [0] * len(gpus)
        for size, number in zip(models.values(), chosen, strict=True):
            if number is not None:
                loads[number] += size
        if all(load <= total for load, total in zip(loads, totals, strict=True)):
            on = [
                size
                for size, number in zip(models.values(), chosen, strict=True)
                if number is not None
            ]
            best = max(best, (len(on), sum(on)))

    found = place(models, gpus, headroom=0)

    assert found.optimal
    assert counted(models, found.on) == best


def test_many_models_are_placed_in_time_and_said_to_be_perhaps_not_the_best() -> None:
    draw = random.Random(7)
    models = {f"m{number}": draw.randint(3, 30) * GB for number in range(40)}

    found = place(models, cards(*[80] * 8), most_nodes=2000)

    assert not found.optimal
    assert counted(models, found.on) >= counted(
        models, first_fit_decreasing(models, cards(*[80] * 8))
    )

"""Prompts that a user gives: a file of them, which requests take in a seeded order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class PromptSet:
    """Prompts of a file.

    Parameters
    ----------
    messages
        For each prompt what a chat begins with.
    output_tokens
        How long its answer is to be; None leaves that to the campaign.
    are_scripts
        Whether each is what a user says in the turns of a conversation, message by message.
    """

    messages: tuple[Messages, ...]
    output_tokens: tuple[int | None, ...]
    are_scripts: bool = False

    def __len__(self) -> int:
        return len(self.messages)

    def of(self, payload_id: int) -> Messages:
        """Give the prompt of a payload; numbers beyond the last begin anew."""
        return self.messages[payload_id % len(self)]

    def text(self, payload_id: int) -> str:
        """Give the prompt of a payload in one piece."""
        return "\n\n".join(str(message["content"]) for message in self.of(payload_id))

    def assigned(
        self, frame: pd.DataFrame, seed: int, *, keep: bool, own: pd.Series[bool] | None = None
    ) -> pd.DataFrame:
        """Give a schedule whose requests have these prompts.

        Every prompt is taken once before one is taken again, each time round in another
        order. `input_tokens` becomes the number of words of the prompt.

        Parameters
        ----------
        frame
            As `draw_schedule` gives it.
        seed
            Of the order.
        keep
            Whether the schedule's payloads stay: a trace may say which request is which.
        own
            Which rows are meant, where a mix has other workloads as well; None for all.
        """
        if own is not None:
            given = frame.copy()
            given.loc[own] = self.assigned(frame[own], seed, keep=keep)
            given.attrs = frame.attrs
            return given
        count = len(frame)
        if keep or self.are_scripts:  # of scripts the schedule has drawn already which is whose
            numbers = frame["payload_id"].to_numpy() % len(self)
        else:
            rounds = range(-(-count // len(self)))
            orders = [np.random.default_rng([seed, each]).permutation(len(self)) for each in rounds]
            numbers = np.concatenate(orders)[:count] if orders else np.empty(0, dtype=int)
        words = self._words(numbers, frame)
        asked = [self.output_tokens[number] for number in numbers]
        lengths = zip(asked, frame["output_tokens"], strict=True)
        given = frame.assign(
            payload_id=numbers.astype("int64"),
            input_tokens=words.astype("int32"),
            output_tokens=np.array(
                [drawn if own is None else own for own, drawn in lengths], dtype="int32"
            ),
        )
        given.attrs = frame.attrs
        return given

    def _words(self, numbers: np.ndarray, frame: pd.DataFrame) -> np.ndarray:
        """Give the number of words of each row's prompt; of a script those of its turn."""
        if not self.are_scripts:
            words = [len(self.text(number).split()) for number in range(len(self))]
            counted: np.ndarray = np.array(words)[numbers]
            return counted
        places = zip(numbers, frame["turn"], strict=True)
        said = [self.messages[number][turn - 1]["content"] for number, turn in places]
        return np.array([len(text.split()) for text in said], dtype=int)


def read_prompts(path: Path) -> PromptSet:
    """Read a file of prompts: a JSON object on each line (JSONL).

    Each has `prompt`, a text, or `messages`, a list of objects with `role` and `content`, or
    `turns`, the texts that a user says in a conversation; and may have `output_tokens`. All
    lines have turns, or none. Empty lines are left out.

    Raises
    ------
    InputError
        When the file can't be read, holds no prompt, or a line is none; with the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"Prompts: {path} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Prompts: {path} can't be read ({error}).") from error
    found = [
        _prompt(line, f"Prompts: {path}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not found:
        raise InputError(f'Prompts: {path} is empty; expected a line {{"prompt": "…"}} or more.')
    messages, output_tokens, scripts = zip(*found, strict=True)
    if len(set(scripts)) > 1:
        raise InputError(f"Prompts: {path}: either every line has `turns`, or none has.")
    return PromptSet(messages, output_tokens, scripts[0])


def _prompt(line: str, where: str) -> tuple[Messages, int | None, bool]:
    try:
        content = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where} is no JSON: {error}.") from None
    kinds = {"prompt", "messages", "turns"}
    if not isinstance(content, dict) or len(kinds & set(content)) != 1:
        raise InputError(f"{where}: expected an object with one of prompt, messages and turns.")
    tokens = content.get("output_tokens")
    if tokens is not None and (not isinstance(tokens, int) or tokens < 1):
        raise InputError(f"{where}: output_tokens is {tokens!r}; expected a number, 1 or more.")
    if "prompt" in content:
        if not isinstance(content["prompt"], str) or not content["prompt"].strip():
            raise InputError(f"{where}: prompt is {content['prompt']!r}; expected a text.")
        return [{"role": "user", "content": content["prompt"]}], tokens, False
    if "turns" in content:
        turns = content["turns"]
        if not isinstance(turns, list) or not turns or not all(map(_is_text, turns)):
            raise InputError(f"{where}: expected turns as a list of texts.")
        return [{"role": "user", "content": turn} for turn in turns], tokens, True
    messages = content["messages"]
    if not isinstance(messages, list) or not messages or not all(map(_is_message, messages)):
        raise InputError(f"{where}: expected messages with `role` and `content` each.")
    return messages, tokens, False


def _is_text(turn: object) -> bool:
    return isinstance(turn, str) and bool(turn.strip())


def _is_message(message: object) -> bool:
    return isinstance(message, dict) and {"role", "content"} <= set(message)

"""Sessions in random order, with crashes between: never half made, half changed or half gone."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from crashes import killed
from escalade.errors import InputError
from escalade.monitoring.sessions import targets
from escalade.monitoring.sessions.record import SessionFolder
from escalade.monitoring.sessions.service import MonitoringService

if TYPE_CHECKING:
    from collections.abc import Callable

SESSIONS, CLIENTS, SERVICES = ("a", "b"), ("c1", "c2"), ("triton", "vllm", "ü {$1}")
ACCESSES_OF_ONE = 40
"""More than any of these operations makes: most crashes fall into its midst."""

Said = dict[tuple[str, str | None, str], str]
"""As it was registered, by kind, client and name."""
Model = dict[str, tuple[dict[str, str], Said]]
"""Of each session its clients, with their nodes, and its pages."""

sessions = st.sampled_from(SESSIONS)
clients = st.sampled_from(CLIENTS)
services = st.sampled_from(SERVICES)
crashes = st.none() | st.integers(0, ACCESSES_OF_ONE)


class Registrations(RuleBasedStateMachine):
    """Sessions that never started, beside a model of what they have to say."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="escalade-machine-"))
        self.service = MonitoringService(self.root)
        self.model: Model = {}
        self.tidy = True
        """Whether the last operation was over in order, and changed something."""

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    def do(self, operation: Callable[[], object], after: Model | None, crash: int | None) -> None:
        """Do it, or be killed in it; None is what has to be refused."""
        if crash is not None:
            killed(operation, self.root, crash)
            found = self.seen()
            assert found in (self.model, after), "neither as before nor as wanted"
            self.model, self.tidy = found, False
        elif after is None:
            with pytest.raises(InputError):
                operation()
        else:
            operation()
            self.model, self.tidy = after, after != self.model

    def seen(self) -> Model:
        """Read what is there."""
        model: Model = {}
        for session in self.service.sessions():
            record = SessionFolder(self.root, session).read()
            pages = {(page.kind, page.client_id, page.name): page.given for page in record.pages}
            model[session] = ({client.id: client.node for client in record.clients}, pages)
        return model

    def with_session(self, session: str, known: dict[str, str], pages: Said) -> Model:
        return {**self.model, session: (known, pages)}

    @initialize()
    def begin_with_one(self) -> None:
        self.create_one(SESSIONS[0], None)

    @rule(session=sessions, crash=crashes)
    def create(self, session: str, crash: int | None) -> None:
        self.create_one(session, crash)

    def create_one(self, session: str, crash: int | None) -> None:
        after = None if session in self.model else self.with_session(session, {}, {})
        self.do(lambda: self.service.create(session), after, crash)

    @rule(session=sessions, crash=crashes)
    def delete(self, session: str, crash: int | None) -> None:
        after = {name: it for name, it in self.model.items() if name != session}
        known = session in self.model
        self.do(lambda: self.service.delete(session), after if known else None, crash)

    @rule(session=sessions, client=clients, node=st.sampled_from(["n1", "n2"]), crash=crashes)
    def connect(self, session: str, client: str, node: str, crash: int | None) -> None:
        after = None
        if session in self.model:
            known, pages = self.model[session]
            if known.get(client, node) == node:
                given = f"{node}:9100"
                added = {("node", client, node): given}
                after = self.with_session(session, {**known, client: node}, {**pages, **added})
        self.do(
            lambda: self.service.register_client(
                session, client, node, node_exporter=f"{node}:9100"
            ),
            after,
            crash,
        )

    @rule(
        session=sessions,
        client=st.none() | clients,
        names=st.sets(services, min_size=1),
        shift=st.sampled_from([0, 0, 1]),
        crash=crashes,
    )
    def register(
        self, session: str, client: str | None, names: set[str], shift: int, crash: int | None
    ) -> None:
        """Register services, each at a port of its own; a `shift` is another place than usual."""
        wanted = {name: f"nodea:{port_of(client, name) + shift}" for name in sorted(names)}
        added: Said = {("service", client, name): given for name, given in wanted.items()}
        after = None
        if session in self.model:
            known, pages = self.model[session]
            same = all(pages.get(key, given) == given for key, given in added.items())
            if same and (client is None or client in known):
                after = self.with_session(session, known, {**pages, **added})
        self.do(
            lambda: self.service.register_services(session, list(wanted.items()), client_id=client),
            after,
            crash,
        )

    @rule(session=sessions, client=clients, name=services, crash=crashes)
    def remove_service(self, session: str, client: str, name: str, crash: int | None) -> None:
        after = None
        if session in self.model:
            known, pages = self.model[session]
            key = ("service", client, name)
            if key in pages:
                left = {it: given for it, given in pages.items() if it != key}
                after = self.with_session(session, known, left)
        self.do(lambda: self.service.remove_service(session, name, client), after, crash)

    @rule(session=sessions, client=clients, crash=crashes)
    def remove_client(self, session: str, client: str, crash: int | None) -> None:
        after = None
        if session in self.model:
            known, pages = self.model[session]
            if client in known:
                left = {it: given for it, given in pages.items() if it[1] != client}
                others = {name: node for name, node in known.items() if name != client}
                after = self.with_session(session, others, left)
        self.do(lambda: self.service.remove_client(session, client), after, crash)

    @rule(session=sessions, crash=crashes)
    def stop(self, session: str, crash: int | None) -> None:
        after = dict(self.model) if session in self.model else None
        self.do(lambda: self.service.stop(session), after, crash)

    @invariant()
    def every_record_is_whole_and_says_what_was_wanted(self) -> None:
        assert self.seen() == self.model

    @invariant()
    def status_tells_that_nothing_was_started(self) -> None:
        for session, (known, pages) in self.model.items():
            found = self.service.status(session)
            assert (found.state, found.url, found.ready) == ("created", None, False)
            assert dict(found.clients) == known
            assert {it.given for it in found.targets} == set(pages.values())

    @invariant()
    def what_is_deleted_is_gone(self) -> None:
        for session in set(SESSIONS) - set(self.model):
            assert not (self.root / session).exists()
            with pytest.raises(InputError, match="no session"):
                self.service.status(session)

    @invariant()
    def every_page_is_a_target(self) -> None:
        for session, (_, pages) in self.model.items():
            record = SessionFolder(self.root, session).read()
            registry = targets.registry_of(record, {}, {})
            assert {target.address for target in registry.targets} == set(pages.values())

    @invariant()
    def nothing_is_left_of_a_crash_after_the_next_change(self) -> None:
        if not self.tidy:
            return
        assert [path for path in self.root.glob("*/.*") if self.changed_last(path)] == []

    def changed_last(self, left: Path) -> bool:
        """Tell whether a left-over is older than the record beside it."""
        record = left.parent / "session.json"
        return left.stat().st_mtime_ns < record.stat().st_mtime_ns

    @rule()
    def a_new_session_tidies_up(self) -> None:
        """Make one more session and delete it: nothing hidden is left in the root."""
        self.service.create("z")
        self.service.delete("z")
        assert sorted(path.name for path in self.root.iterdir()) == sorted(self.model)


def port_of(client: str | None, name: str) -> int:
    """Give the services of each client ports of their own."""
    return 8000 + 100 * [None, *CLIENTS].index(client) + 10 * SERVICES.index(name)


Registrations.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
test_sessions_in_any_order_with_crashes = Registrations.TestCase

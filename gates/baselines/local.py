"""Baselines kept in a folder: immutable versions, aliases that point at them, and a log of moves.

`<store>/<slug>/v0001-<12 hex>/{record.json,predictions.parquet}` and `<store>/<slug>/aliases.json`;
where predictions may not be kept, `sketch.parquet` in their stead.
A version appears by one rename of a finished folder and an alias moves by one replaced file, so a
reader needs no lock, and a writer that is killed leaves the old state.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import secrets
import shlex
import socket
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field, ValidationError, with_config

from gates.atomic import write_atomic
from gates.baselines.files import (
    ALIASES,
    HOLDER,
    LEDGER,
    PREDICTIONS,
    RECORD,
    SKETCH,
    STAGING,
    as_json,
    damaged,
    disk,
    kept_file,
    listed,
    newer,
    parse_json,
    read_record,
    regular_file,
    seal,
    slug,
    sweep,
    sync,
    version_of,
    write_through,
)
from gates.baselines.ledger import Answer, Ledger
from gates.errors import ConfigError, EnvironmentFault, InputError, Refused
from gates.fields import Model, bounded
from gates.record import Content, Record, Registration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_VERSION = re.compile(r"v?([0-9]{1,9})")
_DIGEST = re.compile(r"(?i:sha256:([0-9a-f]{4,64})|([0-9a-f]{8,64}))")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True)
class Move:
    """One line of the alias log; `record` is the sha256 of record.json when it was pointed at."""

    at: str
    by: str
    alias: str
    version: int | None
    previous: int | None
    record: str | None


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A verified version, its folder, and the name it was asked for by."""

    record: Record
    folder: Path
    ref: str

    @property
    def kept(self) -> Path:
        """Return the file beside its record: the predictions, or their sketch."""
        return self.folder / kept_file(self.record.content)


class _Log(Model):
    """What aliases.json holds: the pointers, for people, and the moves that led to them."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    aliases: dict[str, int] = Field(default_factory=dict)
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True)
class Store:
    """The baselines of one model under `root`; writers wait `patience` seconds for one another."""

    root: Path
    model: str
    patience: float = 30.0

    @property
    def folder(self) -> Path:
        """Return the model's own folder."""
        return self.root / slug(self.model)

    @disk()
    def register(
        self, content: Content, kept: Path, registration: Registration, *, alias: str | None
    ) -> tuple[Record, bool]:
        """Keep a baseline, point `alias` at it, and return its record and whether it is new.

        `kept` is a finished Parquet file, the predictions or their sketch, and is copied. The same
        content again is the same version. Raises InputError when the file is not the one `content`
        describes, EnvironmentFault when the disk or the lock refuses, Refused when the store is
        damaged.
        """
        if alias is not None:
            _check_alias(alias)
        if content.model != self.model:
            raise InputError(f"this is a baseline of another model: {bounded(content.model)!r}")
        with self._writing(registration.by):
            moves = self._log().moves  # before anything is written: a broken log stops us here
            known = self._matching(content.digest[7:])
            if known:
                record = self._open(known[0], moves)[0]
            else:
                record = self._add(content, kept, registration, moves)
            if alias is not None:
                self._move(alias, record.version, at=registration.at, by=registration.by)
        return record, not known

    @disk()
    def find(self, ref: str) -> Registered:
        """Return the version that an alias, a number or the start of a digest names, verified.

        Raises InputError when there is none, Refused when it is not what was registered.
        """
        log = self._log()
        record, folder = self._open(self._number(ref, log.aliases), log.moves)
        return Registered(record=record, folder=folder, ref=ref)

    @disk()
    def folder_of(self, ref: str) -> Path:
        """Return the folder that a reference leads to, with nothing in it believed yet."""
        number = self._number(ref, self._log().aliases)
        return next(folder for each, folder in self._folders() if each == number)

    @disk()
    def versions(self) -> list[Record]:
        """Return every version's record, oldest first; their predictions are not read."""
        return [read_record(folder, self.model) for _, folder in self._folders()]

    @disk()
    def aliases(self) -> dict[str, int]:
        """Return what each alias points at, by name."""
        return dict(sorted(self._log().aliases.items()))

    @disk()
    def moves(self) -> list[Move]:
        """Return every move of an alias, oldest first."""
        return list(self._log().moves)

    @disk()
    def point(self, alias: str, ref: str, *, by: str, at: str) -> Move:
        """Point an alias at a version; where it points there already, nothing is logged."""
        _check_alias(alias)
        # Found before the lock, so that a mistyped model leaves no folder; versions never vanish.
        version = self.find(ref).record.version
        with self._writing(by):
            return self._move(alias, version, at=at, by=by)

    @property
    def ledger(self) -> Ledger:
        """Return what this model's evaluation sets have been asked."""
        return Ledger(self.folder)

    @disk()
    def answer(self, evaluation: str, answer: Answer, *, by: str) -> tuple[Answer, ...]:
        """Enter what a candidate was told into the ledger; return all that the set has answered."""
        with self._writing(by):
            return self.ledger.enter(evaluation, answer)

    @disk()
    def verify(self) -> list[str]:
        """Return what is wrong with the store, in words; empty when it is sound."""
        problems = [f"{path}: is not part of the store" for path in self._strays()]
        moves: tuple[Move, ...] = ()
        with _noted(problems):
            moves = self._log().moves
        with _noted(problems):
            self.ledger.evaluations()
        there = {number for number, _ in self._folders()}
        pointed = {move.version for move in moves if move.version is not None}
        last = 0
        for number in sorted(there | pointed):
            if number > last + 1:
                problems.append(f"{self.folder}: no version between v{last} and v{number}")
            with _noted(problems):
                self._open(number, moves)
            last = number
        return problems

    def _folders(self) -> list[tuple[int, Path]]:
        """Return the numbers and folders of the versions, oldest first."""
        matches = [(version_of(path), path) for path in listed(self.folder)]
        return sorted((number, path) for number, path in matches if number)

    def _matching(self, start: str) -> list[int]:
        """Return the numbers of the versions whose digest starts with these hex digits."""
        close = [f for _, f in self._folders() if f.name.split("-")[1].startswith(start[:12])]
        records = [read_record(folder, self.model) for folder in close]
        return [record.version for record in records if record.digest[7:].startswith(start)]

    def _number(self, ref: str, aliases: dict[str, int]) -> int:
        """Return the version number that `ref` names; InputError when it names none, or several."""
        if ref in aliases:
            return aliases[ref]
        numbers = [number for number, _ in self._folders()]
        version, digest = _VERSION.fullmatch(ref), _DIGEST.fullmatch(ref)
        if version and int(version[1]) in numbers:
            return int(version[1])
        hits = self._matching((digest[1] or digest[2]).lower()) if digest else []
        if len(hits) == 1:
            return hits[0]
        name, where = bounded(self.model), str(self.folder)
        if not numbers:
            command = f"--model {shlex.quote(name)} --predictions FILE --alias champion"
            raise InputError(
                f"no baseline is registered for the model {name!r}",
                where=where,
                hint=f"Register one: model-gates baseline register {command}",
            )
        there = [*sorted(aliases), *(f"v{number}" for number in (hits or numbers)[-10:])]
        close = get_close_matches(ref, there, n=1)
        guess = f"Did you mean {close[0]!r}? " if close else ""
        raise InputError(
            f"{bounded(ref)!r} names {'several baselines' if hits else 'no baseline'} of {name!r}",
            where=where,
            hint=f"{guess}There are: {bounded(', '.join(there), 1000)}.",
        )

    def _open(self, number: int, moves: Iterable[Move]) -> tuple[Record, Path]:
        """Return a version's record and folder once every digest holds."""
        folders = [folder for each, folder in self._folders() if each == number]
        if len(folders) != 1:
            # Twice: two branches that both registered were merged.
            what = "is there twice" if folders else "is missing, yet an alias was pointed at it"
            raise damaged(self.folder, f"version {number} {what}")
        folder = folders[0]
        record, sealed = read_record(folder, self.model), seal(folder / RECORD)
        if any(move.version == number and move.record not in (None, sealed) for move in moves):
            raise damaged(folder / RECORD, f"{RECORD} was edited after an alias was pointed at it")
        kept = kept_file(record.content)
        with regular_file(folder / kept).open("rb") as file:
            found = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        if found != record.content.kept.sha256:
            raise damaged(folder / kept, f"{kept} is not what was registered")
        return record, folder

    def _add(
        self, content: Content, kept: Path, made: Registration, moves: Iterable[Move]
    ) -> Record:
        """Stage a new version beside the others and bring it in with one rename."""
        # A number that the log mentions is never given again, even when its folder is gone.
        used = [*(number for number, _ in self._folders()), *(move.version or 0 for move in moves)]
        number, digest = max(used, default=0) + 1, content.digest
        record = Record(version=number, digest=digest, content=content, registered=made)
        staging = self.folder / f"{STAGING}{secrets.token_hex(8)}"
        staging.mkdir()
        with kept.open("rb") as file:
            copied = write_through(staging / kept_file(content), file)
        if copied != content.kept.sha256:
            raise InputError(
                "the predictions file is not the one that was measured",
                where=str(kept),
                hint="Register it again once nothing writes to it.",
            )
        write_through(staging / RECORD, io.BytesIO(as_json(record.model_dump(mode="json"))))
        sync(staging)
        staging.rename(self.folder / f"v{number:04d}-{digest[7:19]}")
        sync(self.folder)
        return record

    def _log(self) -> _Log:
        """Return the pointers and the moves; Refused when they contradict each other."""
        path = self.folder / ALIASES
        if not path.exists():
            return _Log()
        data = parse_json(path)
        if isinstance(data, dict) and isinstance(data.get("schema"), int) and data["schema"] > 1:
            raise newer(path)
        try:
            log = _Log.model_validate(data)
        except ValidationError as error:
            raise damaged(path, f"{ALIASES} is not an alias log") from error
        if _replayed(log.moves) != log.aliases:
            raise damaged(path, f"{ALIASES} holds pointers that its own log does not lead to")
        return log

    def _move(self, alias: str, version: int, *, at: str, by: str) -> Move:
        """Log a move and replace the alias file; the caller holds the lock."""
        log = self._log()
        _, folder = self._open(version, log.moves)
        old, sealed = log.aliases.get(alias), seal(folder / RECORD)
        move = Move(at=at, by=by, alias=alias, version=version, previous=old, record=sealed)
        if old != version:
            pointers = dict(sorted({**log.aliases, alias: version}.items()))
            moves = [asdict(each) for each in (*log.moves, move)]
            content = as_json({"schema": 1, "aliases": pointers, "moves": moves})
            write_atomic(self.folder / ALIASES, content)
            sync(self.folder)
        return move

    def _strays(self) -> Iterator[Path]:
        """Yield what does not belong; hidden files are ours, or an editor's, and never read."""
        for path in listed(self.folder):
            if version_of(path):
                belonging = self._belonging(path)
                yield from (p for p in listed(path) if p.name not in belonging)
            elif path.name not in (ALIASES, LEDGER) and not path.name.startswith("."):
                yield path

    def _belonging(self, folder: Path) -> tuple[str, ...]:
        """Return the names in a version's folder; predictions beside a sketch do not belong."""
        try:
            return RECORD, kept_file(read_record(folder, self.model).content)
        except (InputError, Refused):
            return RECORD, PREDICTIONS, SKETCH

    @contextmanager
    def _writing(self, by: str) -> Iterator[None]:
        """Hold the model's lock, with what killed writers left behind cleared away."""
        from filelock import FileLock, Timeout

        holder = self.folder / HOLDER
        with disk(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            sync(self.folder.parent)
            lock = FileLock(self.folder / ".lock", timeout=self.patience)
            try:
                held = lock.acquire()
            except Timeout as error:
                # The holder may be between taking the lock and signing for it.
                who = holder.read_text("utf-8", "replace") if holder.exists() else "someone else"
                raise EnvironmentFault(
                    f"the store is being written to by {bounded(who)}",
                    where=str(self.folder),
                    hint=f"Waited {self.patience:g} s for it. Try again once it has finished.",
                ) from error
            with held:
                sweep(self.folder)
                # Beside the lock and not in it: some versions of filelock empty the lock file.
                who = f"{bounded(by)}, process {os.getpid()} on {socket.gethostname()}"
                holder.write_text(who, "utf-8")
                try:
                    yield
                finally:
                    sweep(self.folder)


def _check_alias(alias: str) -> None:
    """Refuse an alias that could be taken for a version, a digest or a path."""
    taken = _VERSION.fullmatch(alias) or _DIGEST.fullmatch(alias)
    if taken or not _ALIAS.fullmatch(alias):
        hint = "A letter, then up to 63 letters, digits, '.', '_' or '-'; no version, no digest."
        raise ConfigError(f"{bounded(alias)!r} can not be an alias", hint=hint)


def _replayed(moves: Iterable[Move]) -> dict[str, int] | None:
    """Return the pointers that the moves lead to; None when one does not follow from the last."""
    state: dict[str, int | None] = {}
    for move in moves:
        if move.previous != state.get(move.alias):
            return None
        state[move.alias] = move.version
    return {alias: version for alias, version in state.items() if version is not None}


@contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    """Note an error in one line and go on."""
    try:
        yield
    except (InputError, Refused) as error:
        problems.append(f"{error.where}: {error.message}")

"""Versions on disk: <home>/registry/<model>/<version>/{weights.npz, manifest.json}, written once, checked when read."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import uuid
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from federated.errors import ModelCorrupt, ModelExists, ModelNotFound
from federated.governance.manifest import Manifest
from federated.governance.weights import ScoringModel

MODEL_NAME = "credit"
# Bytes that weights may unpack to: nearly a thousand times what a version of 23 columns does.
MOST_UNPACKED = 1 << 28
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class ModelRegistry:
    """Publishes and loads versions under `home`. A version directory appears by one atomic rename, or not at all."""

    def __init__(self, home: Path) -> None:
        self._root = home / "registry"

    def next_version(self, model: str = MODEL_NAME) -> str:
        """The first unused version name: v0001, v0002, …"""
        numbers = [int(m.version[1:]) for m in self.manifests(model) if re.fullmatch(r"v\d{4,}", m.version)]
        return f"v{max(numbers, default=0) + 1:04d}"

    def publish(self, manifest: Manifest, model: ScoringModel) -> Manifest:
        """Write a new version and return its manifest with the weights' hash. Raises `ModelExists`."""
        target = self._directory(manifest.model, manifest.version)
        if target.exists():
            raise ModelExists(f"{manifest.model} {manifest.version} is registered already")
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **model.to_arrays())
        sealed = replace(manifest, weights_sha256=hashlib.sha256(buffer.getvalue()).hexdigest())
        self._write(target, sealed.to_json().encode(), buffer.getvalue())
        return sealed

    def files(self, model: str, version: str) -> tuple[bytes, bytes]:
        """A version as it lies here, manifest and weights, for another register. Raises as `load`."""
        self.load(model, version)
        folder = self._directory(model, version)
        return (folder / "manifest.json").read_bytes(), (folder / "weights.npz").read_bytes()

    def manifest_file(self, model: str, version: str) -> bytes:
        """A version's manifest as it lies here. Raises as `manifest`."""
        self.manifest(model, version)
        return (self._directory(model, version) / "manifest.json").read_bytes()

    @staticmethod
    def read(manifest: bytes, weights: bytes) -> Manifest:
        """A version of another register, looked at and not kept. Raises `ModelCorrupt` for what is none."""
        try:
            told = Manifest.from_json(manifest.decode())
            named = told.model == MODEL_NAME and re.fullmatch(r"v\d{4,9}", told.version) is not None
            told.to_json()
            pairs = [pair.count("|") == 1 and isinstance(rows, int) for pair, rows in told.aligned_rows.items()]
            sound = isinstance(told.cut_off, int) and isinstance(told.config, dict) and all(pairs)
            sound = sound and all(isinstance(auc, dict) for auc in told.metrics.values())
        except (UnicodeDecodeError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ModelCorrupt(f"this is no manifest ({type(error).__name__})") from error
        if not (named and sound):
            raise ModelCorrupt("a manifest names a version of credit, v and its number, with its figures")
        _read_weights(told, weights)
        return told

    def take(self, manifest: bytes, weights: bytes) -> Manifest:
        """Keep a version of another register, byte by byte; one that is here already only if it is the same.

        Raises `ModelExists` for another one of its name, and as `read`.
        """
        told = self.read(manifest, weights)
        target = self._directory(told.model, told.version)
        if not target.exists():
            self._write(target, manifest, weights)
        elif self.files(told.model, told.version) != (manifest, weights):
            raise ModelExists(f"another {told.model} {told.version} is registered already", version=told.version)
        return told

    @staticmethod
    def _write(target: Path, manifest: bytes, weights: bytes) -> None:
        draft = target.parent / f".draft-{uuid.uuid4().hex}"
        draft.mkdir(parents=True)
        try:
            _write_through(draft / "weights.npz", weights)
            _write_through(draft / "manifest.json", manifest)
            _rename_new(draft, target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def manifests(self, model: str = MODEL_NAME) -> list[Manifest]:
        """Manifests of all versions, oldest name first. Raises `ModelCorrupt`."""
        root = self._root / model
        if not root.is_dir():
            return []
        names = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
        return [self.manifest(model, name) for name in names]

    def manifest(self, model: str, version: str) -> Manifest:
        """One version's manifest. Raises `ModelNotFound` or `ModelCorrupt`."""
        try:
            manifest = Manifest.from_json((self._directory(model, version) / "manifest.json").read_text("utf-8"))
        except FileNotFoundError:
            raise ModelNotFound(f"no version {version} of {model}", model=model, version=version) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ModelCorrupt(f"manifest of {model} {version} cannot be read: {error}") from error
        if (manifest.model, manifest.version) != (model, version):
            raise ModelCorrupt(f"{model} {version} holds the manifest of {manifest.model} {manifest.version}")
        return manifest

    def load(self, model: str, version: str) -> ScoringModel:
        """One version's functions, after checking the weights' hash. Raises `ModelNotFound` or `ModelCorrupt`."""
        manifest = self.manifest(model, version)
        try:
            raw = (self._directory(model, version) / "weights.npz").read_bytes()
        except OSError as error:
            raise ModelCorrupt(f"weights of {model} {version} cannot be read: {error}") from error
        return _read_weights(manifest, raw)

    def _directory(self, model: str, version: str) -> Path:
        if not _NAME.fullmatch(model) or not _NAME.fullmatch(version):
            raise ModelNotFound("a model or version name has characters that no registered name has")
        return self._root / model / version


def _read_weights(manifest: Manifest, raw: bytes) -> ScoringModel:
    version = manifest.version
    if hashlib.sha256(raw).hexdigest() != manifest.weights_sha256:
        raise ModelCorrupt(f"weights of {manifest.model} {version} are not those that were registered", version=version)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            if sum(each.file_size for each in packed.infolist()) > MOST_UNPACKED:
                raise ModelCorrupt(f"weights of {version} unpack to more than any model's", version=version)
        with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except ModelCorrupt:
        raise
    except Exception as error:  # of a spoilt archive numpy and zlib raise much more than they say
        raise ModelCorrupt(f"weights of {manifest.model} {version} are not an array archive: {error}") from error
    return ScoringModel.from_arrays(arrays)


def _write_through(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _rename_new(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError as error:
        # A concurrent publisher won: renaming onto its non-empty directory fails, so nothing was overwritten.
        raise ModelExists(f"{target.name} is registered already") from error

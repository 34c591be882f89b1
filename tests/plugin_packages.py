"""Installed packages for tests of plug-ins: a module, and the metadata that an installer writes."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from corpusmill import plugins
from corpusmill.privacy import recognizers
from corpusmill.stages import registry, rule_groups
from corpusmill.stages.sources import extractors

CACHES = (
    plugins.offered,
    plugins.load,
    registry._of_plugin,
    rule_groups._of_plugin,
    recognizers._of_plugin,
    extractors._of_plugin,
)
"""What a process remembers of installed packages, which do not change while it runs."""


class Install(Protocol):
    """Makes a package and puts it on the path of this process and its children."""

    def __call__(
        self,
        code: str,
        entries: Mapping[str, Mapping[str, str]],
        *,
        package: str = "acme-mill",
        version: str = "1.0",
    ) -> Path:
        """`entries`: kind -> name -> attribute of the package's one module."""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    modules: list[str] = []

    def put(
        code: str,
        entries: Mapping[str, Mapping[str, str]],
        *,
        package: str = "acme-mill",
        version: str = "1.0",
    ) -> Path:
        folder = tmp_path / "installed" / package
        module = package.replace("-", "_")
        metadata = folder / f"{module}-{version}.dist-info"
        metadata.mkdir(parents=True)
        (folder / f"{module}.py").write_text(code, encoding="utf-8")
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        )
        lines = []
        for kind, names in entries.items():
            lines.append(f"[corpusmill.{kind}]")
            lines += [f"{name} = {module}:{attribute}" for name, attribute in names.items()]
        (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
        monkeypatch.syspath_prepend(str(folder))
        modules.append(module)
        forget()
        return folder

    def forget() -> None:
        for cache in CACHES:
            cache.cache_clear()
        plugins._loaded.clear()
        for module in modules:
            sys.modules.pop(module, None)

    forget()
    yield put
    monkeypatch.undo()
    forget()

"""Lays out the package redoxmc: engine/api is redoxmc itself, engine/ is redoxmc.engine, kernels/ is redoxmc.kernels.

The layout is a folder of links, .package/redoxmc. An editable installation puts .package on Python's path, where type
checkers, import-linter and editors look too, and where a real package wins over any folder that happens to be called redoxmc.
"""

import os
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def lay_out(root: Path, place: Path) -> None:
    """Make or renew `place`/redoxmc, links to the code and the shipped data below `root`."""
    package = place / "redoxmc"
    package.mkdir(parents=True, exist_ok=True)
    api = [path for path in (root / "engine/api").iterdir() if path.suffix in (".py", ".typed")]
    targets = [root / "engine", root / "kernels", root / "inputs", root / "CITATION.cff", *api]
    wanted = {package / target.name: os.path.relpath(target, package) for target in targets}
    for link in package.iterdir():
        if link.is_symlink() and os.readlink(link) != wanted.get(link):
            link.unlink()
    for link, target in wanted.items():
        if not link.is_symlink():
            link.symlink_to(target)


if __name__ == "__main__":
    lay_out(ROOT, ROOT / ".package")
    setup(packages=find_packages(".package", exclude=["redoxmc.engine.api*"]), package_dir={"": ".package"})

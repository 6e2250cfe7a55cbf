"""The packages: folders engine/ and kernels/ are redoxmc.engine and redoxmc.kernels; engine/api is redoxmc itself."""

from setuptools import find_packages, setup

folders = find_packages(include=["engine*", "kernels*"], exclude=["engine.api*"])
setup(packages=["redoxmc", *(f"redoxmc.{name}" for name in folders)])

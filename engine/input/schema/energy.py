"""Section energy: the terms of the Hamiltonian."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, field_validator, model_validator

from .base import Energy, File, Files, Model

MOST_PAIR_EV = 10.0  # far above any published pair energy


class FitInput(Model):
    """How the effective cluster interactions are fitted."""

    method: Literal["ardr", "ridge", "lasso", "rfe", "least-squares"] = Field(
        default="ardr", description="linear regression: automatic relevance determination (ardr), ridge, lasso, ..."
    )
    validation: str = Field(default="10-fold", pattern=r"^([2-9]|[1-9]\d{1,5})-fold$", description="cross-validation, as N-fold")

    @property
    def n_folds(self) -> int:
        """Number of folds of the cross-validation."""
        return int(self.validation.split("-")[0])


class CleaseInput(Model):
    """A fitted cluster expansion of CLEASE, in two JSON files."""

    settings: File = Field(description="file written by settings.save")
    eci: File = Field(description="file written by evaluate.save_eci")


class ClusterExpansionInput(Model):
    """A data set to fit, or a fitted cluster expansion; with neither, the stage `label` makes the data set."""

    dataset: Files | None = Field(
        default=None, description="labelled cells: extxyz, OUTCAR or vasprun.xml; also a list, or a pattern such as dft/*/OUTCAR"
    )
    model: File | CleaseInput | None = Field(
        default=None,
        description="fitted expansion of icet (.ce, eV per formula unit), smol (JSON, eV per cell of smol) or CLEASE (two files, "
        "eV per atom)",
    )
    cutoffs_A: tuple[PositiveFloat, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=6,
        description="largest distance between sites in pairs, triplets, ...; needed to fit",
    )
    fit: FitInput = Field(default=FitInput(), description="method and validation of the fit")
    allow_left_out: bool = Field(
        default=False, description="go on if more than a fifth of the frames of the data set cannot be used; dataset.csv says why"
    )

    @model_validator(mode="after")
    def _one_source(self) -> "ClusterExpansionInput":
        if self.dataset is not None and self.model is not None:
            raise ValueError(
                "found dataset and model; allowed: either dataset or model, or neither, and the potential makes the data set"
            )
        if self.model is None and self.cutoffs_A is None:
            raise ValueError("cutoffs_A is missing; it is needed to fit a data set")
        return self

    @property
    def model_files(self) -> tuple[Path, ...]:
        """Files of the fitted expansion; none if there is no model."""
        if isinstance(self.model, CleaseInput):
            return (self.model.settings, self.model.eci)
        return (self.model,) if self.model else ()


class PointInput(Model):
    """Energy of every site that holds the species."""

    species: str = Field(description="name of a species of the lattice")
    energy_eV: Energy = Field(description="energy per site")


class PairInput(Model):
    """Energy of every unordered pair of sites that holds the two species at a distance lo <= r < hi.

    Periodic images are included.
    """

    species: tuple[str, str] = Field(description="names of the two species, in any order")
    r_A: tuple[Annotated[float, Field(ge=0)], PositiveFloat] = Field(description="distances [lo, hi) of the pair of sites")
    energy_eV: float = Field(description="energy per pair")

    @field_validator("r_A")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError(f"found [{value[0]:g}, {value[1]:g}]; allowed: distances [lo, hi) with lo < hi")
        return value

    @field_validator("energy_eV")
    @classmethod
    def _in_eV(cls, value: float) -> float:
        if abs(value) > MOST_PAIR_EV:
            raise ValueError(
                f"found {value:g} eV for a pair; allowed: between {-MOST_PAIR_EV:g} and {MOST_PAIR_EV:g} (meV? divide by 1000)"
            )
        return value


class ElectrostaticsInput(Model):
    """Point charges on the sites, summed over all periodic images (Ewald). Spectators carry no charge."""

    charges: dict[str, Annotated[float, Field(ge=-20, le=20)]] = Field(
        min_length=1, description="charge by species, in elementary charges; species that are not named carry 0"
    )
    dielectric: float = Field(default=1.0, ge=0.01, le=1e6, description="dielectric constant; it divides the energy")


class EnergyInput(Model):
    """The Hamiltonian: a sum of terms. At least one term is needed."""

    electrons: Literal["equilibrium", "ground_state"] = Field(
        default="equilibrium",
        description="equilibrium: ions and electrons are sampled; ground_state: only ions are sampled, each arrangement with the "
        "energy of its lowest electron arrangement, so that there is no electronic entropy",
    )
    cluster_expansion: ClusterExpansionInput | None = Field(default=None, description="cluster expansion")
    electrostatics: ElectrostaticsInput | None = Field(default=None, description="point charges")
    points: tuple[PointInput, ...] = Field(default=(), description="user-specified energies of single sites")
    pairs: tuple[PairInput, ...] = Field(default=(), description="user-specified energies of pairs of sites")

    @model_validator(mode="after")
    def _any_term(self) -> "EnergyInput":
        if self.cluster_expansion is None and self.electrostatics is None and not self.points and not self.pairs:
            raise ValueError("found no term; allowed: at least one of cluster_expansion, electrostatics, points, pairs")
        return self

    @property
    def needs_labels(self) -> bool:
        """Whether the stage `label` has to make the data set of the cluster expansion."""
        given = self.cluster_expansion
        return given is not None and given.dataset is None and given.model is None

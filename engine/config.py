"""The input file as frozen models: names, defaults, units. Checks that need the structure or the data are in `prepare`."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator, model_validator

Auto = Literal["auto"]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SpeciesInput(Model):
    """Charge of a species, and the element that stands for it in data sets and potentials."""

    charge: int
    proxy: Annotated[str, Field(description="chemical symbol, e.g. Ga for Fe3+")] | None = None
    moment_muB: Annotated[float, Field(ge=0, description="magnetic moment in the reference calculation")] | None = None


def _bare_charge(value: Any) -> Any:
    return {"charge": value} if isinstance(value, int) and not isinstance(value, bool) else value


class SublatticeInput(Model):
    """All sites of one element of the structure file, and the species that may sit there."""

    element: str
    species: dict[str, Annotated[SpeciesInput, BeforeValidator(_bare_charge, json_schema_input_type=int | SpeciesInput)]] = Field(
        min_length=1, description="name: charge, or name: {charge, proxy}; Va is the vacancy"
    )


Row = Annotated[list[int], Field(min_length=3, max_length=3)]
Shape = Annotated[list[int] | list[Row], Field(min_length=3, max_length=3)]


def matrix_of(shape: Any) -> list[list[int]]:
    """The 3x3 matrix of a supercell given as three repeats or as the matrix itself."""
    return [[v if i == j else 0 for j in range(3)] if isinstance(v, int) else list(v) for i, v in enumerate(shape)]


class LatticeInput(Model):
    structure: Path = Field(description="fully occupied cell, any format that ASE or pymatgen reads")
    sublattices: tuple[SublatticeInput, ...] = Field(min_length=1)
    spectators: dict[str, int] = Field(default={}, description="charges of the elements that never change")
    supercell: Shape = Field(
        default=[1, 1, 1], description="three repeats, or a 3x3 integer matrix whose rows are the vectors of the supercell"
    )

    @property
    def matrix(self) -> list[list[int]]:
        return matrix_of(self.supercell)


class FitInput(Model):
    method: Literal["ardr", "ridge", "lasso", "rfe", "least-squares"] = "ardr"
    validation: str = Field(default="10-fold", pattern=r"^([2-9]|[1-9]\d+)-fold$")

    @property
    def n_folds(self) -> int:
        return int(self.validation.split("-")[0])


Files = Annotated[
    tuple[str, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v, json_schema_input_type=str | list[str])
]


class CleaseInput(Model):
    """A fitted expansion of CLEASE: its two JSON files."""

    settings: Path = Field(description="written by settings.save")
    eci: Path = Field(description="written by evaluate.save_eci")


class ClusterExpansionInput(Model):
    """A data set to fit, or a fitted expansion; with neither, `label` makes the data set."""

    dataset: Files | None = Field(
        default=None, description="extxyz, OUTCAR or vasprun.xml; several, or patterns such as dft/*/OUTCAR"
    )
    model: Path | CleaseInput | None = Field(
        default=None,
        description="of icet (.ce, eV per formula unit), smol (JSON, eV per its cell), or CLEASE (two files, eV per atom)",
    )
    cutoffs_A: tuple[PositiveFloat, ...] | None = Field(default=None, min_length=1, description="pairs, triplets, ...")
    fit: FitInput = FitInput()

    @model_validator(mode="after")
    def _one_source(self) -> "ClusterExpansionInput":
        if self.dataset is not None and self.model is not None:
            raise ValueError("give either dataset or model, or neither to make the data set with the potential")
        if self.model is None and self.cutoffs_A is None:
            raise ValueError("cutoffs_A is needed to fit a data set")
        return self

    @property
    def model_files(self) -> tuple[Path, ...]:
        if isinstance(self.model, CleaseInput):
            return (self.model.settings, self.model.eci)
        return (self.model,) if self.model else ()


class PointInput(Model):
    species: str
    energy_eV: float


class PairInput(Model):
    """Energy of every unordered pair of sites, periodic images included, at lo <= r < hi that holds the two species."""

    species: tuple[str, str]
    r_A: tuple[Annotated[float, Field(ge=0)], PositiveFloat]
    energy_eV: float

    @field_validator("r_A")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("the shell [lo, hi) needs lo < hi")
        return value


class ElectrostaticsInput(Model):
    """Point charges by species, summed over all periodic images (Ewald); species not named carry 0, spectators too."""

    charges: dict[str, float] = Field(min_length=1, description="in elementary charges")
    dielectric: PositiveFloat = 1.0


class EnergyInput(Model):
    """A sum of terms."""

    electrons: Literal["equilibrium", "ground_state"] = Field(
        default="equilibrium",
        description="ground_state: ions alone, each arrangement with its best electrons: no electronic entropy",
    )
    cluster_expansion: ClusterExpansionInput | None = None
    electrostatics: ElectrostaticsInput | None = None
    points: tuple[PointInput, ...] = ()
    pairs: tuple[PairInput, ...] = ()

    @model_validator(mode="after")
    def _any_term(self) -> "EnergyInput":
        if self.cluster_expansion is None and self.electrostatics is None and not self.points and not self.pairs:
            raise ValueError("give at least one of cluster_expansion, electrostatics, points, pairs")
        return self

    @property
    def needs_labels(self) -> bool:
        """Whether the data set of the expansion is still to be made."""
        given = self.cluster_expansion
        return given is not None and given.dataset is None and given.model is None


ARCHITECTURES = ("mace", "chgnet", "cpainn")


class PotentialInput(Model):
    """Energy of a charge-labelled structure: one of ours, or any ASE calculator by import path."""

    model: str = Field(
        description="mace, chgnet, cpainn, or the import path of an ASE calculator: sevenn.calculator.SevenNetCalculator"
    )
    file: Path | None = Field(
        default=None, description="weights; a file that can carry code is opened only because it is named here"
    )
    charge_aware: bool = Field(default=True, description="false: it is shown elements, not charges")
    options: dict[str, Any] = Field(default={}, description="keyword arguments of an ASE calculator")

    @field_validator("model")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ARCHITECTURES and not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", value):
            raise ValueError(
                f"found {value}; allowed: {', '.join(ARCHITECTURES)}, or an import path such as ase.calculators.emt.EMT"
            )
        return value

    @model_validator(mode="after")
    def _fitting_options(self) -> "PotentialInput":
        if self.options and self.model in ARCHITECTURES:
            raise ValueError("options are for ASE calculators given by import path")
        return self


class LossWeightsInput(Model):
    """Weights of the squared errors of energy (eV/atom), forces (eV/A), stress (eV/A^3) and moments (Bohr magnetons)."""

    energy: Annotated[float, Field(ge=0)] = 100.0
    forces: Annotated[float, Field(ge=0)] = 1.0
    stress: Annotated[float, Field(ge=0)] = 100.0
    moments: Annotated[float, Field(ge=0)] = 0.02


class TrainedPotentialInput(Model):
    """A potential to train. With `file` it is trained already, and only evaluated."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    model: Literal["mace", "chgnet", "cpainn"]
    charge_aware: bool = True
    file: Path | None = Field(default=None, description="weights that are there already; absent: train")
    start_from: Path | None = Field(default=None, description="weights to start from; CHGNet starts from its own without it")
    epochs: PositiveInt = 100
    minutes: PositiveFloat | None = Field(default=None, description="budget of time; the epoch under way is finished")
    epoch_frames: PositiveInt | None = Field(default=None, description="frames per epoch; absent: all (mace: always all)")
    batch_size: PositiveInt = 4
    learning_rate: PositiveFloat = 0.005
    weights: LossWeightsInput = LossWeightsInput()
    last_weights: LossWeightsInput | None = Field(
        default=None, description="weights at the end of the budget, coming in late; they also choose the best epoch"
    )
    settings: dict[str, Any] = Field(
        default={}, description="of the network: cPaiNN's width, ...; for MACE the options of mace_run_train"
    )


class SplitInput(Model):
    """Shares of the configurations; all frames of a configuration go to one part."""

    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    test: Annotated[float, Field(ge=0, lt=0.5)] = 0.1


class TrainingInput(Model):
    dataset: Files = Field(min_length=1, description="frames with energies, forces, stresses and moments")
    split: SplitInput = SplitInput()
    potentials: tuple[TrainedPotentialInput, ...] = Field(min_length=1)

    @field_validator("potentials")
    @classmethod
    def _distinct(cls, value: tuple[TrainedPotentialInput, ...]) -> tuple[TrainedPotentialInput, ...]:
        if len({p.name for p in value}) < len(value):
            raise ValueError("two potentials have the same name")
        if any(p.name == "potential" for p in value):
            raise ValueError("the name potential stands for the section of that name; choose another")
        return value


Length = Annotated[list[PositiveFloat], Field(min_length=3, max_length=3)]


class RelaxationInput(Model):
    """How labelled structures are relaxed: positions and cell, from the ideal lattice with octahedra distorted by label."""

    largest_force_eV_per_A: PositiveFloat = 0.03
    steps: Annotated[int, Field(ge=0, description="0: energies on the starting lattice, nothing is relaxed")] = 300
    optimiser: Literal["LBFGS", "BFGS", "FIRE"] = "LBFGS"
    cell_lengths_A: dict[Annotated[float, Field(ge=0)], Length] = Field(
        default={}, description="starting lengths of the cell of the structure file, by ions per fu; linear between (Vegard)"
    )


class LearningInput(Model):
    """Rounds of label, fit and sample; each chooses what the next one labels."""

    rounds: PositiveInt = Field(default=8, description="at most; the first has the configurations of label")
    labels: PositiveInt = Field(default=20, description="new ones in each round")
    supercell: Shape | None = Field(
        default=None, description="as under lattice, for the phase diagram of each round; absent: that of lattice"
    )
    sweeps: PositiveInt | None = Field(default=None, description="measured in each round; absent: those of sampling")
    tolerance_eV: PositiveFloat = Field(
        default=0.005, description="done where the error of what is visited is below this per formula unit at all T and x"
    )
    settled: PositiveFloat = Field(
        default=0.02,
        description="done where two rounds in a row moved phase boundaries by less than this in x, and no free energy by tolerance_eV",
    )


class LabelInput(Model):
    """The configurations that the potential relaxes."""

    configurations: PositiveInt = 300
    supercells: tuple[Shape, ...] = Field(default=([1, 1, 1],), min_length=1)
    learning: LearningInput | None = None


class EvaluationInput(Model):
    """What the potentials are held against."""

    reference: Files | None = Field(
        default=None, description="relaxed cells of the reference; `series` groups the orders at one ion arrangement"
    )
    orders: PositiveInt = Field(default=100, description="prepared charge orders whose retention is measured")
    supercells: tuple[Shape, ...] = Field(default=([1, 1, 1],), min_length=1)
    dilute: PositiveInt = Field(
        default=10, description="of these orders: with a single electron, and as many with a single hole, per supercell"
    )


class ChemicalPotentialInput(Model):
    """A grid in eV, on the zero of the energies; without limits the engine chooses them."""

    min: float | None = None
    max: float | None = None
    points: PositiveInt | None = None

    @model_validator(mode="after")
    def _complete(self) -> "ChemicalPotentialInput":
        if (self.min is None) != (self.max is None):
            raise ValueError("give both min and max, or neither")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not exceed max")
        return self

    @property
    def automatic(self) -> bool:
        return self.min is None


def _auto_is_empty(value: Any) -> Any:
    return {} if value == "auto" else value


class VcsgcInput(Model):
    kappa: PositiveFloat | Auto = Field(default="auto", description="weight exp[-kappa N (x - target)^2]")
    points: PositiveInt | Auto = "auto"


class SweepsInput(Model):
    equilibrate: PositiveInt | Auto = "auto"
    measure: PositiveInt = 2000


class MixInput(Model):
    swap: float = Field(gt=0)
    neutral_exchange: float = Field(gt=0)
    near_exchange: float = Field(default=0.0, ge=0, description="an ion and its electron, next to one another")
    pair_hop: float = Field(default=0.0, ge=0, description="an ion takes its electron along")
    near_swap: float = Field(default=0.0, ge=0, description="an ion or an electron hops to a near site")


class RefineInput(Model):
    """New temperatures, placed where phase boundaries are less certain than this."""

    temperatures: int = Field(default=4, ge=0, description="most temperatures to add")
    tolerance_K: PositiveFloat = 2.0
    tolerance_x: PositiveFloat = 0.005


class SamplingInput(Model):
    ensemble: Literal["auto", "canonical", "semigrand", "vcsgc"] = "auto"
    temperature_K: tuple[PositiveFloat, ...] = Field(min_length=1)
    rungs: PositiveInt | Auto = Field(default="auto", description="most temperatures in all, asked-for ones included")
    chemical_potential_eV: dict[
        str,
        Annotated[ChemicalPotentialInput, BeforeValidator(_auto_is_empty, json_schema_input_type=Auto | ChemicalPotentialInput)],
    ] = Field(default={}, description="keyed by the species that it counts")
    vcsgc: VcsgcInput = VcsgcInput()
    walkers: int = Field(default=4, ge=2)
    sweeps: SweepsInput = SweepsInput()
    exchange_every: int = Field(default=10, ge=0, description="sweeps; 0 switches replica exchange off")
    moves: Auto | MixInput = Field(default="auto", description="weights; auto: tuned once the ladder is annealed")
    refine: RefineInput = RefineInput()
    second_supercell: Shape | None = Field(
        default=None, description="smaller cell, as under lattice, whose phase diagram shows the finite-size shift"
    )
    walltime_s: PositiveFloat | None = Field(default=None, description="commit and stop (exit code 75) after this time")

    @field_validator("temperature_K")
    @classmethod
    def _ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a temperature is given twice")
        return tuple(sorted(value))


class AnalysisInput(Model):
    reference_energy_eV: dict[str, float] = Field(default={}, description="per atom of the ion's element, for the voltage")
    compositions: int = Field(default=97, ge=2)
    beside: Path | None = Field(
        default=None, description="output folder of another run whose phase diagram is drawn beside this one"
    )
    vibrations: Path | None = Field(
        default=None,
        description="CSV file of vibrational free energies: temperature_K, x, free_energy_eV per formula unit; or x, file: phonopy's "
        "thermal_properties.yaml of structures, fitted over x",
    )
    entropy_compositions: int = Field(
        default=13, ge=0, description="where the entropy is split into ions and electrons; 0: nowhere"
    )


class CorrectionInput(Model):
    """Sampling with the potential itself in a small cell, beside the expansion."""

    supercell: Shape = Field(default=[1, 1, 1], description="as under lattice; its states are relaxed one by one")
    temperature_K: tuple[PositiveFloat, ...] | None = Field(default=None, min_length=1, description="absent: those of sampling")
    methods: tuple[Literal["corrected", "reweighted", "direct", "enumerated"], ...] = Field(
        default=("corrected", "reweighted"),
        min_length=1,
        description="corrected: the expansion proposes, the potential decides; reweighted: samples of the expansion; direct: the "
        "potential decides about every single move; enumerated: all states, where there are few",
    )
    relaxed: bool = Field(
        default=True, description="false: energies on the starting lattice, which costs one call of the potential"
    )
    walkers: int = Field(default=4, ge=2)
    equilibrate: PositiveInt = Field(default=200, description="proposals per walker in which weights and stretch are tuned")
    proposals: PositiveInt = Field(default=1000, description="proposals per walker that are measured; samples, where reweighted")


class GroundStatesInput(Model):
    """The hull at T = 0, over supercells up to a size; sizes in cells of the structure file."""

    enumerate_up_to: PositiveInt = Field(
        default=2, description="all neutral states of all supercells of up to so many cells are looked at"
    )
    anneal_up_to: PositiveInt = Field(default=6, description="larger supercells, up to so many cells, are annealed")
    supercells: PositiveInt = Field(default=12, description="annealed supercells of each size, the most compact first")
    searches: PositiveInt = Field(default=3, description="independent annealings of each composition of a supercell")


class Config(Model):
    title: str = ""
    seed: Annotated[int, Field(ge=0)] = 0
    output: Path
    lattice: LatticeInput
    training: TrainingInput | None = None
    evaluation: EvaluationInput | None = None
    potential: PotentialInput | None = None
    relaxation: RelaxationInput = RelaxationInput()
    label: LabelInput = LabelInput()
    energy: EnergyInput | None = None
    sampling: SamplingInput | None = None
    ground_states: GroundStatesInput | None = None
    correction: CorrectionInput | None = None
    analysis: AnalysisInput = AnalysisInput()

    @property
    def sampler(self) -> SamplingInput:
        """The sampling of a run that has an energy."""
        assert self.sampling is not None
        return self.sampling

    @model_validator(mode="after")
    def _something_to_do(self) -> "Config":
        if self.energy is None and self.training is None and self.evaluation is None:
            raise ValueError("energy is needed, or training, or evaluation")
        if self.energy is not None and self.sampling is None:
            raise ValueError("sampling is needed beside energy")
        if self.ground_states is not None and self.energy is None:
            raise ValueError("ground_states needs energy")
        if self.correction is not None and (self.energy is None or self.potential is None):
            raise ValueError("correction needs energy, whose expansion proposes, and potential, which decides")
        return self


def json_schema() -> str:
    """The schema shipped as inputs/schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    schema["title"] = "RedoxMC input file"
    text = json.dumps(schema, indent=1, ensure_ascii=False)
    return re.sub(r"[ \t]+$", "", text, flags=re.M) + "\n"

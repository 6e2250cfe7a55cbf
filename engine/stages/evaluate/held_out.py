"""The `evaluate` stage: errors on held-out configurations, retention of charge order, charge orders ranked, the hull."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ...crystal.lattice import Lattice
from ...errors import RedoxError
from ...input.schema import Config, EvaluationInput
from ...potentials.charges import states_by_moment
from ...potentials.labelling.configurations import Configuration, choose_configurations
from ...potentials.labelling.relaxations import Relaxations, relax_all
from ...potentials.labelling.retention import kept, total
from ...potentials.labels import Labels, labels_of
from ...potentials.potential import LabelledCalculator, load_potential, predict
from ...potentials.specification import PotentialSpec
from ...potentials.training.train import Frames
from ...runtime.mpi import StopWatch, bcast_from_root
from ...runtime.storage import read_json, write_json, write_text
from ...runtime.streams import Stream
from ...runtime.task_farm import run_tasks
from ...thermodynamics.phase_diagram.hull import lower_hull
from .reference import ReferenceCell, formation_energies, series

log = logging.getLogger("redoxmc")
LEAST_ORDERS = 10  # at one ion arrangement, for a rank correlation


def run_evaluation(
    config: Config, lattice: Lattice, candidates: list[PotentialSpec], frames: Frames | None, reference: list[ReferenceCell],
    folder: Path, comm: Any, watch: StopWatch,
) -> dict[str, Any] | None:  # fmt: skip
    """All of it; what is finished is kept in `folder` and not done again. Collective; rank 0 returns the record."""
    given = config.evaluation
    assert given is not None
    torch.set_num_threads(1)
    labels = labels_of(lattice)
    judge = load_potential("chgnet", None, labels, charge_aware=False)  # first: it may not be installed
    calculators = {c.mark: c.load(labels) for c in candidates}
    stores = {c.name: Relaxations(folder / "relaxations", lattice, config.relaxation, c.mark) for c in candidates}
    orders = bcast_from_root(comm, lambda: prepared_orders(given, lattice, config.seed))
    wanted = orders + [r.configuration for r in reference]
    errors = _held_out(candidates, calculators, frames, labels, folder / "held_out", comm, watch)
    relax_all([(stores[c.name], o) for o in wanted for c in candidates], calculators, comm, watch, "relaxing prepared orders")
    judged = _moments([(stores[c.name], o) for c in candidates for o in orders], judge, folder / "moments", comm, watch)
    if comm.rank != 0:
        return None
    record: dict[str, Any] = {"orders": len(orders), "potentials": {}}
    if reference:
        record["reference"] = _reference_record(reference)
    for c in candidates:
        record["potentials"][c.name] = {
            "model": c.model,
            "charge_aware": c.charge_aware,
            "held_out": errors.get(c.name),
            "retention": retention(stores[c.name], orders, labels, judged),
            **({"reference": against_reference(stores[c.name], reference, lattice)} if reference else {}),
        }
    write_json(folder / "evaluation.json", record)
    return record


def prepared_orders(given: EvaluationInput, lattice: Lattice, seed: int) -> list[Configuration]:
    """Charge orders to be kept: single electrons and single holes first, then evenly over all compositions."""
    found: dict[tuple[Any, bytes], Configuration] = {}
    for matrix in given.matrices:
        pool = choose_configurations(lattice, [matrix], 60 * given.dilute, seed, stream=Stream.DILUTE_EVALUATION)
        fu = pool[0].supercell(lattice).n_formula_units if pool else 0
        for ions in (1, fu - 1):
            for c in [c for c in pool if round(c.composition(lattice) * fu) == ions][: given.dilute]:
                found[c.matrix, c.species] = c
    enough = given.orders + len(found) + 2  # when those found and the two ends are taken out
    pool = choose_configurations(lattice, given.matrices, enough, seed, stream=Stream.EVALUATION)
    rest = [c for c in pool if (c.matrix, c.species) not in found and 0 < c.composition(lattice) < 1]
    n = min(len(rest), max(0, given.orders - len(found)))
    return [*found.values(), *(rest[k * len(rest) // n] for k in range(n))]


def _held_out(
    candidates: list[PotentialSpec], calculators: dict[str, LabelledCalculator], frames: Frames | None, labels: Labels,
    folder: Path, comm: Any, watch: StopWatch,
) -> dict[str, Any]:  # fmt: skip
    """Mean absolute errors per potential on the configurations of the test part."""
    if frames is None or not frames.test:
        return {}
    files = {c.name: folder / f"{c.mark}_{frames.mark}.json" for c in candidates}
    todo = bcast_from_root(comm, lambda: [c for c in candidates if not files[c.name].exists()])

    def work(k: int) -> None:
        write_json(files[todo[k].name], held_out_errors(calculators[todo[k].mark], frames.test))

    run_tasks(len(todo), work, comm, watch, "held-out errors")
    return {name: read_json(path) for name, path in files.items()} if comm.rank == 0 else {}


def held_out_errors(calculator: LabelledCalculator, frames: list[Atoms]) -> dict[str, Any]:
    """MAE of energy (eV/atom), force components (eV/A) and stress components (eV/A^3) over labelled frames."""
    energy, forces, stress = [], [], []
    for frame in frames:
        found = predict(calculator, frame)
        energy.append(abs(found.energy_eV - frame.get_potential_energy()) / len(frame))
        forces.append(np.abs(found.forces_eV_per_A - frame.get_forces()).ravel())
        if "stress" in frame.calc.results:
            stress.append(np.abs(found.stress_eV_per_A3 - frame.get_stress(voigt=False)).ravel())
    return {
        "frames": len(frames),
        "configurations": len({f.info["config"] for f in frames}),
        "energy_mae_eV_per_atom": float(np.mean(energy)),
        "forces_mae_eV_per_A": float(np.concatenate(forces).mean()),
        "stress_mae_eV_per_A3": float(np.concatenate(stress).mean()) if stress else None,
    }


def _moments(
    jobs: list[tuple[Relaxations, Configuration]], judge: LabelledCalculator, folder: Path, comm: Any, watch: StopWatch
) -> dict[Path, NDArray[np.float64]]:
    """Moments by the published CHGNet on every relaxed structure, which it sees without labels; by relaxation file."""

    def file(job: tuple[Relaxations, Configuration]) -> Path:
        return folder / (job[0].path(job[1]).stem + ".json")

    todo = bcast_from_root(comm, lambda: [j for j in jobs if not file(j).exists()])

    def work(k: int) -> None:
        store, configuration = todo[k]
        moments = predict(judge, store.read(configuration).cell).moments_muB
        assert moments is not None
        write_text(file(todo[k]), json.dumps([round(float(m), 4) for m in moments]))

    run_tasks(len(todo), work, comm, watch, "judging by moments")
    return {s.path(c): np.array(json.loads(file((s, c)).read_text())) for s, c in jobs} if comm.rank == 0 else {}


def retention(
    store: Relaxations, orders: list[Configuration], labels: Labels, moments: dict[Path, NDArray[np.float64]]
) -> dict[str, Any]:
    """Share of prepared labels that the relaxed structures show: by bond lengths, and by the moments of the judge."""
    counts: list[tuple[str, bool, tuple[int, int]]] = []
    problems = 0
    for order in orders:
        done = store.read(order)
        x = order.composition(store.lattice)
        dilute = min(x, 1 - x) * order.supercell(store.lattice).n_formula_units < 1.5
        by_moment = states_by_moment(done.cell, labels, labels.charges(done.cell), moments[store.path(order)])
        for judge, shown in (("bond_lengths", done.cell.arrays["by_bond"]), ("moments", by_moment)):
            counts.append((judge, dilute, kept(done.cell, shown, labels)))
        problems += not done.is_minimum
    judges = ("bond_lengths", "moments")
    return {
        "orders": len(orders),
        "failed_relaxations": problems,
        **{judge: total([n for j, _, n in counts if j == judge]) for judge in judges},
        "dilute": {judge: total([n for j, dilute, n in counts if dilute and j == judge]) for judge in judges},
    }


def _reference_record(reference: list[ReferenceCell]) -> dict[str, Any]:
    x, energy = np.array([r.x for r in reference]), np.array([r.energy_eV for r in reference])
    return {"x": x.tolist(), "formation_energy_eV": formation_energies(x, energy).tolist()}


def against_reference(store: Relaxations, reference: list[ReferenceCell], lattice: Lattice) -> dict[str, Any]:
    """Relaxed energies of the same configurations: formation energies, hull, ranks of charge orders. eV per fu."""
    x = np.array([r.x for r in reference])
    wanted = formation_energies(x, np.array([r.energy_eV for r in reference]))
    done = [store.read(r.configuration) for r in reference]
    found = np.array([
        d.cell.get_potential_energy() / r.configuration.supercell(lattice).n_formula_units if d.is_minimum else np.nan
        for r, d in zip(reference, done)
    ])  # fmt: skip
    found = formation_energies(x, found)
    good = np.isfinite(found) & np.isfinite(wanted)
    if not good.any():
        raise RedoxError("evaluation: reference: there are no cells at the ends of composition that every potential can relax")
    hulls = [_hull(x[good], e[good]) for e in (wanted, found)]
    deviation = np.abs(hulls[0]["hull_eV"] - hulls[1]["hull_eV"])
    ranks = []
    for group in series(reference, lattice, LEAST_ORDERS):
        rows = [k for k in group if good[k]]
        if len(rows) >= LEAST_ORDERS:
            rho = spearmanr(wanted[rows], found[rows]).statistic
            ranks.append({"x": float(x[rows[0]]), "orders": len(rows), "spearman": float(rho), "rows": rows})
    return {
        "formation_energy_eV": [float(v) if np.isfinite(v) else None for v in found],
        "formation_energy_mae_eV": float(np.abs(found - wanted)[good].mean()),
        "hull": {
            "x": hulls[0]["x"].tolist(),
            "reference_eV": hulls[0]["hull_eV"].tolist(),
            "found_eV": hulls[1]["hull_eV"].tolist(),
            "mean_deviation_eV": float(deviation.mean()),
            "largest_deviation_eV": float(deviation.max()),
            "on_hull_reference": hulls[0]["on_hull"].tolist(),
            "on_hull_found": hulls[1]["on_hull"].tolist(),
        },
        "ranks": ranks,
    }


def _hull(x: NDArray[np.float64], energy_eV: NDArray[np.float64]) -> dict[str, Any]:
    """Lowest energy and lower convex hull at every composition that occurs."""
    grid = np.unique(x)
    lowest = np.array([energy_eV[x == v].min() for v in grid])
    corners = lower_hull(grid, lowest)
    hull = np.interp(grid, grid[corners], lowest[corners])
    return {"x": grid, "lowest_eV": lowest, "hull_eV": hull, "on_hull": np.isin(np.arange(len(grid)), corners)}

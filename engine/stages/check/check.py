"""The plan of a run and its cost, as --check prints them."""

import os
from itertools import combinations_with_replacement
from pathlib import Path

from mpi4py import MPI
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...crystal.lattice import Lattice, Supercell
from ...crystal.shells import shells_between
from ...input.reader import read_input
from ...runtime.mpi import share
from ...sampling.ground_states.ground_states import tasks
from ..prepare import prepare
from ..prepare.opening import check_folder
from ..shared.run import RootData, Run
from .cost import Cost, cost_of, memory_MiB
from .input_warnings import input_warnings
from .outlook import missing_results

REACH_A = 8.0
MOST_SHELLS = 8


def check(path: Path, fresh: bool = False) -> None:
    """Read and check the input file on rank 0, and print what it asks for. fresh: samples would be deleted. Raises RedoxError."""
    comm = MPI.COMM_WORLD
    if comm.rank == 0:
        run, data = prepare(read_input(path))
        if not fresh:
            check_folder(run)
        print_plan(run, data, comm.size)


def print_plan(run: Run, data: RootData, n_ranks: int) -> None:
    console = Console(width=110, highlight=False)
    table = Table(show_header=False, box=None, padding=(0, 2))
    for key, value in plan_rows(run, data, n_ranks):
        table.add_row(Text(key, "bold"), Text(value))
    console.print(table)
    console.print("The input is valid. Nothing was run.")


def plan_rows(run: Run, data: RootData, n_ranks: int) -> list[tuple[str, str]]:
    """Lines of the plan as (subject, value)."""
    config, lattice = run.config, run.lattice
    supercell = Supercell(lattice, run.matrix)
    species = "; ".join(
        f"{n} {s.element} sites: "
        + ", ".join(f"{sp.name} ({sp.charge:+d}{', as ' + sp.symbol if sp.proxy else ''})" for sp in s.species)
        for s, n in zip(lattice.sublattices, supercell.sites_per_sublattice)
    )
    return [
        ("title", config.title or "-"),
        ("structure", f"{_formula(lattice)}, cell of {' x '.join(f'{a:.2f}' for a in lattice.atoms.cell.lengths())} A"),
        ("cell", f"{supercell.n_cells} cells, {supercell.n_formula_units} formula units, {supercell.n_sites} active sites"),
        *_second_cell(run),
        ("species", species),
        ("spectators", ", ".join(f"{e} ({q:+d})" for e, q in lattice.spectators.items()) or "none"),
        ("neutral exchanges", "; ".join(e.describe(lattice) for e in run.exchanges) or "none"),
        *_potentials(run),
        *(_sampling(run, data, n_ranks) if config.sampling else []),
        *_shells(run),
        ("output", str(run.output.folder)),
        *(("in use", f"by {holder}: a second run is refused") for holder in (run.output.running.held_by(),) if holder),
        *(("not included", text) for text in missing_results(run)),
        *(("warning", text) for text in input_warnings(run, data)),
    ]


def _formula(lattice: Lattice) -> str:
    unit = "".join(f"{element}{n if n > 1 else ''}" for element, n in lattice.formula_unit.items())
    return f"{lattice.n_formula_units} {unit}"


def _shells(run: Run) -> list[tuple[str, str]]:
    """Neighbours of every pair of sublattices, for those who specify a Hamiltonian by distances."""
    if run.config.energy is None or run.config.energy.cluster_expansion is not None:
        return []
    lattice, reach = run.lattice, max([REACH_A, *(p.r_A[1] for p in run.config.energy.pairs)])
    rows = []
    for a, b in combinations_with_replacement(range(len(lattice.sublattices)), 2):
        found, names = shells_between(lattice, [a], [b], reach), [lattice.sublattices[g].element for g in (a, b)]
        listed = ", ".join(str(shell) for shell in found[:MOST_SHELLS]) + (", ..." if len(found) > MOST_SHELLS else "")
        rows.append(("shells", f"{names[1]} around {names[0]}, A (number): {listed or f'none up to {reach:g} A'}"))
    return rows


def _potentials(run: Run) -> list[tuple[str, str]]:
    """Lines about training, evaluation and labelling."""
    config, rows = run.config, []
    if given := config.training:
        todo = [f"{p.name} ({p.model}, at most {p.epochs} epochs)" for p in given.potentials if p.file is None]
        rows.append(("train", ", ".join(todo) or "nothing: all have a file"))
    if config.evaluation:
        n = len(config.training.potentials if config.training else ()) + (config.potential is not None)
        rows.append(("evaluate", f"{n} potentials, {config.evaluation.orders} prepared orders each"))
    if config.energy and config.energy.needs_labels and config.potential:
        rows.append(("label", f"{config.label.configurations} configurations, relaxed with {config.potential.model}"))
    return rows


def _second_cell(run: Run) -> list[tuple[str, str]]:
    """The smaller cell, if one is sampled."""
    matrix = run.config.second_matrix if run.config.sampling else None
    if matrix is None:
        return []
    second = Supercell(run.lattice, matrix)
    return [("second cell", f"{second.n_cells} cells, {second.n_formula_units} formula units, {second.n_sites} active sites")]


def _sampling(run: Run, data: RootData, n_ranks: int) -> list[tuple[str, str]]:
    config, cost = run.config, cost_of(run, data)
    per_rank = max(len(share(cost.slots, r, n_ranks)) for r in range(n_ranks))
    walkers, asked = config.sampler.walkers, ", ".join(f"{t:g} K" for t in config.sampler.temperature_K)
    return [
        ("exchangeable ions", ", ".join(run.ions) or "none"),
        ("energy", _energy(run, data)),
        *([("vibrations", data.vibrations.description)] if data.vibrations else []),
        ("temperatures", f"{asked}; with those inserted {cost.ladder_is}"),
        (
            "replicas",
            f"{cost.slots} x {walkers} walkers; on {n_ranks} {'rank' if n_ranks == 1 else 'ranks'} up to {per_rank} each",
        ),
        *_ground_states(run),
        ("moves", _moves(cost)),
        ("memory", _memory(memory_MiB(cost, n_ranks), n_ranks)),
        ("time", _minutes(cost, n_ranks)),
    ]


def _moves(cost: Cost) -> str:
    total, more = cost.certain.moves, cost.at_most.moves - cost.certain.moves
    ordered = sorted(cost.by_stage.items(), key=lambda item: -item[1].moves)
    parts = ", ".join(f"{name} {w.moves:.2g}" for name, w in ordered if w.moves > 0.01 * total)
    text = f"{'' if cost.exact else 'at most '}{total:.3g} attempted ({parts})"
    return text + (f"; at most {more:.2g} more if phase boundaries are uncertain, or orders or gaps end" if more else "")


def _memory(per_rank_MiB: float, n_ranks: int) -> str:
    here = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    text = f"about {per_rank_MiB:.0f} MiB per rank"
    return text + (f", more than the {here:.0f} MiB of this machine" if per_rank_MiB * n_ranks > here else "")


def _minutes(cost: Cost, n_ranks: int) -> str:
    least, most = (cost.seconds(work, n_ranks) for work in (cost.certain, cost.at_most))
    if least is None or most is None:
        return "not known: no run of a similar size has been finished on this machine"
    text = f"about {_duration(least)}" + (f", at most {_duration(most)}" if most > 1.1 * least else "")
    return f"{text}, by the rates of {'the last run of this energy' if cost.rate_is_own else 'a run of another energy'} here"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _ground_states(run: Run) -> list[tuple[str, str]]:
    given = run.config.ground_states
    if given is None:
        return []
    found = tasks(given, run.lattice)
    listed = sum(t.list_all for t in found)
    text = f"all states of {listed} supercells of up to {given.enumerate_up_to} cells"
    if len(found) > listed:
        text += f"; {len(found) - listed} more of up to {given.anneal_up_to} cells, {given.searches} annealings per composition"
    return [("ground states", text)]


def _energy(run: Run, data: RootData) -> str:
    parts = [run.user_terms.description] if run.user_terms.clusters else []
    given = run.config.energy
    charged = (given and given.electrostatics) or (data.model and data.model.charges)
    parts += ["point charges, all pairs of sites"] if charged else []
    parts += ["electrons in their ground state"] if given and given.electrons == "ground_state" else []
    if fitted := data.fit_data:
        orbits = fitted.space.orbit_list.orbits
        names = {2: "pairs", 3: "triplets", 4: "quadruplets"}
        per_order = {
            order: sum(len(o.clusters) for o in orbits if o.order == order) for order in sorted({o.order for o in orbits})
        }
        sites = run.lattice.n_sites
        counts = ", ".join(
            f"{n * order / sites:g} {names.get(order, f'{order}-clusters')} per site"
            for order, n in per_order.items()
            if order > 1
        )
        parts.append(f"cluster expansion of {len(fitted.space)} parameters ({counts}) fitted to {len(fitted.data.cells)} cells")
    elif run.config.energy and run.config.energy.needs_labels:
        parts.append("cluster expansion, to be fitted to the labelled configurations")
    if data.model is not None:
        parts.append(f"cluster expansion of {data.model.n_parameters} parameters from a file")
    return "; ".join(parts)

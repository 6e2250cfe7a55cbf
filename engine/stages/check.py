"""The plan of a run and its cost, as --check prints them."""

from pathlib import Path

from mpi4py import MPI
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..crystal.lattice import Lattice, Supercell
from ..crystal.neutral_states import count_neutral_states
from ..input.reader import read_input
from ..runtime.mpi import share
from ..sampling.ground_states import tasks
from ..sampling.place_temperatures import MOST_RUNGS
from ..sampling.planning import IONS_PER_WINDOW, MU_POINTS, ensembles_of
from ..sampling.slots import EnsembleKind
from .input_warnings import input_warnings
from .prepare import prepare
from .run import RootData, Run

BYTES_PER_SITE = 128  # geometry, moves and the arrays of a running chain; small cells have more images


def check(path: Path) -> None:
    """Read and check the input file on rank 0, and print what it asks for. Raises InputError."""
    comm = MPI.COMM_WORLD
    if comm.rank == 0:
        print_plan(*prepare(read_input(path)), comm.size)


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
        ("species", species),
        ("spectators", ", ".join(f"{e} ({q:+d})" for e, q in lattice.spectators.items()) or "none"),
        ("neutral exchanges", "; ".join(e.describe(lattice) for e in run.exchanges) or "none"),
        *_potentials(run),
        *(_sampling(run, data, supercell, n_ranks) if config.sampling else []),
        ("output", str(run.source.resolve(config.output))),
        *(("warning", text) for text in input_warnings(run, data)),
    ]


def _formula(lattice: Lattice) -> str:
    unit = "".join(f"{element}{n if n > 1 else ''}" for element, n in lattice.formula_unit.items())
    return f"{lattice.n_formula_units} {unit}"


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


def _sampling(run: Run, data: RootData, supercell: Supercell, n_ranks: int) -> list[tuple[str, str]]:
    config = run.config
    slots, rungs = replicas_at_most(run, supercell)
    per_rank = max(len(share(slots, r, n_ranks)) for r in range(n_ranks))
    walkers, sweeps = config.sampler.walkers, config.sampler.sweeps.measure
    memory = (per_rank * walkers * supercell.n_sites + supercell.n_sites * BYTES_PER_SITE) / 2**20
    return [
        ("exchangeable ions", ", ".join(run.ions) or "none"),
        ("energy", _energy(run, data)),
        *([("vibrations", data.vibrations.description)] if data.vibrations else []),
        ("temperatures", ", ".join(f"{t:g} K" for t in config.sampler.temperature_K) + f"; at most {rungs} rungs"),
        (
            "replicas",
            f"at most {slots} x {walkers} walkers; on {n_ranks} {'rank' if n_ranks == 1 else 'ranks'} at most {per_rank} each",
        ),
        ("memory", f"about {memory:.0f} MiB per rank for chains and tables, beside the libraries"),
        *_ground_states(run),
        ("cost", f"at most {slots * walkers * sweeps * supercell.n_sites:.2g} attempted moves in {sweeps} sweeps"),
    ]


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


def replicas_at_most(run: Run, supercell: Supercell) -> tuple[int, int]:
    """Number of replicas and of rungs that the ladder can have."""
    given = run.config.sampler
    rungs = len(given.temperature_K) if given.exchange_every == 0 else given.rungs if isinstance(given.rungs, int) else MOST_RUNGS
    rungs = max(rungs, len(given.temperature_K))
    counts, _ = count_neutral_states(supercell, run.ions[0] if run.ions else None)
    points = given.vcsgc.points
    windows = points if isinstance(points, int) else max(2, -(-int(counts[-1] - counts[0]) // IONS_PER_WINDOW) + 1)
    potentials = 1
    for ion in run.ions:
        grid = given.chemical_potential_eV.get(ion)
        potentials *= (grid.points or (MU_POINTS if grid.automatic else 41)) if grid else MU_POINTS
    per_rung = {
        EnsembleKind.FIXED_COMPOSITION: windows if run.ions else 1,
        EnsembleKind.VCSGC: windows,
        EnsembleKind.SEMIGRAND: potentials,
    }
    return rungs * sum(per_rung[kind] for kind in ensembles_of(run.ions, run.config)), rungs


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

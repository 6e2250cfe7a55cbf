"""Rock salt with two charge states of iron, and small potentials for it."""

from functools import cache

import mace.modules as modules  # before e3nn, which needs what it sets
import numpy as np
import torch
from ase import Atoms
from e3nn import o3

from redoxmc.engine.crystal.lattice import Species
from redoxmc.engine.potentials.chgnet import CHGNetNetwork, published
from redoxmc.engine.potentials.cpainn import CPaiNNNetwork
from redoxmc.engine.potentials.cpainn_network import CPaiNN
from redoxmc.engine.potentials.labels import Labels
from redoxmc.engine.potentials.mace import weights_of
from redoxmc.engine.potentials.potential import LabelledCalculator, calculator_of, load_potential
from redoxmc.engine.potentials.weights import Weights

IRON = (Species("Fe2+", 2, moment_muB=3.75), Species("Fe3+", 3, "Ga", 4.25))
LABELS = Labels({s.symbol: s for s in (*IRON, Species("Na+", 1), Species("O", -2))}, {"Fe": IRON})
AWARE, BLIND = ["Fe", "Ga", "Na", "O"], ["Fe", "Na", "O"]
OURS = ("mace", "cpainn", "chgnet")


def rock_salt(symbols: str = "Na Fe Fe Ga O O O O", seed: int = 0) -> Atoms:
    """Neutral, strained, every atom off its site; both charge states of iron, no two of them alike."""
    rng = np.random.default_rng(seed)
    sites = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0.5]]
    atoms = Atoms(symbols.split(), scaled_positions=sites, cell=4.3 * np.eye(3) + rng.normal(scale=0.1, size=(3, 3)), pbc=True)
    atoms.positions += rng.normal(scale=0.08, size=(8, 3))
    return atoms


def weights(model: str, symbols: list[str], charge_aware: bool = True) -> Weights:
    """Untrained MACE and cPaiNN, CHGNet as published."""
    torch.manual_seed(1)
    card = {"made": "by the tests"}
    if model == "chgnet":
        return CHGNetNetwork(published()).weights(symbols, charge_aware, card)
    if model == "cpainn":
        network = CPaiNN(symbols, width=16, n_layers=2, cutoff_A=3.5, n_radial=6)
        return CPaiNNNetwork(network).weights(symbols, charge_aware, card)
    numbers = sorted(Atoms(symbols).numbers.tolist())
    return weights_of(tiny_mace(numbers), charge_aware, card)


def tiny_mace(numbers: list[int]) -> torch.nn.Module:
    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    return modules.ScaleShiftMACE(
        r_max=3.5, num_bessel=4, num_polynomial_cutoff=5, max_ell=2, interaction_cls=block, interaction_cls_first=block,
        num_interactions=2, num_elements=len(numbers), hidden_irreps=o3.Irreps("8x0e + 8x1o"), MLP_irreps=o3.Irreps("8x0e"),
        atomic_energies=-np.arange(1.0, len(numbers) + 1), avg_num_neighbors=10.0, atomic_numbers=numbers, correlation=2,
        gate=torch.nn.functional.silu, atomic_inter_scale=1.3, atomic_inter_shift=0.2,
    )  # fmt: skip


@cache
def potential(model: str, charge_aware: bool = True) -> LabelledCalculator:
    if model == "ase":
        return load_potential("ase.calculators.lj.LennardJones", None, LABELS, options={"sigma": 1.9, "rc": 4.0, "smooth": True})
    if model == "chgnet" and not charge_aware:
        return load_potential(model, None, LABELS, charge_aware=False)
    symbols = AWARE if charge_aware else BLIND
    return LabelledCalculator(calculator_of(model, weights(model, symbols, charge_aware)), LABELS, charge_aware)

"""CPaiNN: an equivariant message-passing potential that also predicts magnetic moments and Bader charges.

Message and update blocks are those of PaiNN (Schuett, Unke, Gastegger 2021, arXiv 2102.03150). Charges enter as chemical symbols,
one for each charge state (labels.py), and are learnt by per-atom heads beside the energy. The network is smoother than PaiNN: the
cutoff is the polynomial envelope of DimeNet (arXiv 2003.03123), which is twice differentiable while a cosine is so only once, and
norms of vectors are softened at zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import pi, sqrt
from typing import Any

import numpy as np
import torch
from ase import Atoms
from torch import Tensor, nn

try:
    from matscipy.neighbours import neighbour_list as neighbour_list
except ImportError:
    from ase.neighborlist import neighbor_list as neighbour_list

ENVELOPE_POWER = 5
NORM_SOFTENING = 1e-4


@dataclass(frozen=True, eq=False)
class Graph:
    """A batch of periodic structures with all pairs of atoms within a cutoff, both directions of every pair.

    species (atoms,): index into the symbols of the model. positions (atoms, 3) and cells (structures, 3, 3; rows are vectors): A.
    structure (atoms,): the structure of each atom. source, target (edges,): atoms; messages go from source to target.
    shifts (edges, 3): cells, such that the pair vector is positions[target] - positions[source] + shifts @ cell.
    """

    species: Tensor
    positions: Tensor
    cells: Tensor
    structure: Tensor
    source: Tensor
    target: Tensor
    shifts: Tensor

    def to(self, device: torch.device | str) -> "Graph":
        """The same graph on a device."""
        return Graph(*(getattr(self, f.name).to(device) for f in fields(self)))


def graph_of(atoms: Atoms, symbols: Sequence[str], cutoff_A: float, dtype: torch.dtype = torch.float32) -> Graph:
    """The graph of one structure, periodic in three directions; an atom is also a neighbour of its own images.

    Raises ValueError for a symbol that is not among `symbols` and for a structure that is not periodic.
    """
    if not all(atoms.pbc) or atoms.cell.rank < 3:
        raise ValueError("the structure must be periodic in three directions")
    index = {symbol: k for k, symbol in enumerate(symbols)}
    unknown = sorted(set(atoms.get_chemical_symbols()) - set(index))
    if unknown:
        raise ValueError(f"no species {', '.join(unknown)} in a potential for {', '.join(symbols)}")
    source, target, shifts = neighbour_list("ijS", atoms, cutoff_A)
    return Graph(
        species=torch.tensor([index[s] for s in atoms.get_chemical_symbols()]),
        positions=torch.tensor(atoms.positions, dtype=dtype),
        cells=torch.tensor(np.asarray(atoms.cell)[None], dtype=dtype),
        structure=torch.zeros(len(atoms), dtype=torch.int64),
        source=torch.tensor(source, dtype=torch.int64),
        target=torch.tensor(target, dtype=torch.int64),
        shifts=torch.tensor(shifts, dtype=dtype).reshape(-1, 3),
    )


def collate(graphs: Sequence[Graph]) -> Graph:
    """A batch of several graphs, in their order."""
    atoms = np.cumsum([0] + [len(g.species) for g in graphs]).tolist()
    structures = np.cumsum([0] + [len(g.cells) for g in graphs]).tolist()
    return Graph(
        species=torch.cat([g.species for g in graphs]),
        positions=torch.cat([g.positions for g in graphs]),
        cells=torch.cat([g.cells for g in graphs]),
        structure=torch.cat([g.structure + n for g, n in zip(graphs, structures)]),
        source=torch.cat([g.source + n for g, n in zip(graphs, atoms)]),
        target=torch.cat([g.target + n for g, n in zip(graphs, atoms)]),
        shifts=torch.cat([g.shifts for g in graphs]),
    )


def displacements(graph: Graph, positions: Tensor, cells: Tensor) -> Tensor:
    """Vectors (edges, 3), A, from source to target."""
    offsets = torch.einsum("ei,eij->ej", graph.shifts, cells.index_select(0, graph.structure.index_select(0, graph.source)))
    return positions.index_select(0, graph.target) - positions.index_select(0, graph.source) + offsets


def envelope(x: Tensor) -> Tensor:
    """1 at x = 0 and 0 beyond x = 1, with value, slope and curvature zero at 1 (arXiv 2003.03123)."""
    p = ENVELOPE_POWER
    inside = 1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1) - p * (p + 1) / 2 * x ** (p + 2)
    return torch.where(x < 1, inside, torch.zeros_like(x))


def radial_basis(distances: Tensor, cutoff_A: float, n_radial: int) -> Tensor:
    """Radial functions (edges, n_radial + 1) of distances (edges, 1), A: Bessel functions and 1, all times the envelope.

    The Bessel functions are sqrt(2/c) sin(n pi d/c)/d. The 1 is for the bias of the filters.
    """
    n = torch.arange(1, n_radial + 1, dtype=distances.dtype, device=distances.device)
    bessel = sqrt(2 / cutoff_A) * torch.sin(n * (pi / cutoff_A) * distances) / distances
    return torch.cat([bessel, torch.ones_like(distances)], dim=1) * envelope(distances / cutoff_A)


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two dense layers with SiLU between them; initial weights after Glorot, initial bias zero, as in PaiNN."""
    first, second = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)
    for layer in (first, second):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(first, nn.SiLU(), second)


class Message(nn.Module):
    """Message block: each atom collects features of its neighbours (arXiv 2102.03150, fig. 2b)."""

    def __init__(self, width: int, n_radial: int) -> None:
        super().__init__()
        self.context = _mlp(width, width, 3 * width)
        self.filters = nn.Linear(n_radial + 1, 3 * width, bias=False)

    def forward(
        self, scalars: Tensor, vectors: Tensor | None, basis: Tensor, units: Tensor, graph: Graph
    ) -> tuple[Tensor, Tensor]:
        """New scalars (atoms, width) and vectors (atoms, 3, width; None while they are all zero).

        basis (edges, n_radial + 1): radial functions. units (edges, 3, 1): unit vectors of the pairs.
        """
        passed = self.context(scalars).index_select(0, graph.source) * self.filters(basis)
        to_scalars, along, gate = passed.chunk(3, dim=1)
        to_vectors = units * along.unsqueeze(1)
        if vectors is not None:
            to_vectors = to_vectors + vectors.index_select(0, graph.source) * gate.unsqueeze(1)
        start = scalars.new_zeros(len(scalars), 3, scalars.shape[1]) if vectors is None else vectors
        return scalars.index_add(0, graph.target, to_scalars), start.index_add(0, graph.target, to_vectors)


class Update(nn.Module):
    """Update block: mixes scalars and vectors of each atom (arXiv 2102.03150, fig. 2c)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(width, 2 * width, bias=False)
        self.gates = _mlp(2 * width, width, 3 * width)
        nn.init.xavier_uniform_(self.mix.weight)

    def forward(self, scalars: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """New scalars (atoms, width) and vectors (atoms, 3, width)."""
        u, v = self.mix(vectors).chunk(2, dim=2)
        norm = ((v * v).sum(dim=1) + NORM_SOFTENING).sqrt()
        a_vv, a_sv, a_ss = self.gates(torch.cat([scalars, norm], dim=1)).chunk(3, dim=1)
        return scalars + a_ss + a_sv * (u * v).sum(dim=1), vectors + a_vv.unsqueeze(1) * u


class CPaiNN(nn.Module):
    """Energy, forces and stress of labelled structures and, optionally, magnetic moments and Bader charges.

    symbols: chemical symbols that it knows, proxies included; they share no parameters. settings: arguments that rebuild it.
    reference_eV (symbols,): reference energy per atom, not trained. scale_eV (): factor on the output of the network per atom.
    """

    reference_eV: Tensor
    scale_eV: Tensor

    def __init__(
        self,
        symbols: Sequence[str],
        width: int = 64,
        n_layers: int = 3,
        cutoff_A: float = 5.0,
        n_radial: int = 20,
        moments: bool = True,
        bader: bool = False,
    ) -> None:
        super().__init__()
        if len(set(symbols)) < len(symbols):
            raise ValueError(f"a symbol occurs twice in {', '.join(symbols)}")
        self.settings: dict[str, Any] = {
            "symbols": list(symbols),
            "width": width,
            "n_layers": n_layers,
            "cutoff_A": cutoff_A,
            "n_radial": n_radial,
            "moments": moments,
            "bader": bader,
        }
        self.cutoff_A, self.n_radial = cutoff_A, n_radial
        self.embedding = nn.Embedding(len(symbols), width)
        self.messages = nn.ModuleList(Message(width, n_radial) for _ in range(n_layers))
        self.updates = nn.ModuleList(Update(width) for _ in range(n_layers))
        names = ["energy"] + ["moments"] * moments + ["bader"] * bader
        self.heads = nn.ModuleDict({name: _mlp(width, width // 2, 1) for name in names})
        self.register_buffer("reference_eV", torch.zeros(len(symbols)))
        self.register_buffer("scale_eV", torch.ones(()))

    @property
    def symbols(self) -> list[str]:
        return self.settings["symbols"]

    def forward(self, graph: Graph, with_forces: bool = True) -> dict[str, Tensor]:
        """Results of a batch: energy (structures,), eV, summed in float64; moments (atoms,), Bohr magnetons; bader (atoms,), e.

        with_forces adds forces (atoms, 3), eV/A, and stress (structures, 3, 3), eV/A^3: dE/dstrain / volume, as in ASE.
        In training mode these can be differentiated again; in evaluation mode results with forces have no gradients.
        """
        if not with_forces:
            return self._predict(graph, displacements(graph, graph.positions, graph.cells))
        with torch.enable_grad():
            positions = graph.positions.detach().requires_grad_()
            strain = torch.zeros_like(graph.cells, requires_grad=True)
            symmetric = (strain + strain.transpose(1, 2)) / 2
            strained = positions + torch.einsum("ni,nij->nj", positions, symmetric.index_select(0, graph.structure))
            result = self._predict(graph, displacements(graph, strained, graph.cells + graph.cells @ symmetric))
            gradient = torch.autograd.grad(result["energy"].sum(), (positions, strain), create_graph=self.training)
        result["forces"] = -gradient[0]
        result["stress"] = gradient[1] / torch.linalg.det(graph.cells).abs()[:, None, None]
        return result if self.training else {name: value.detach() for name, value in result.items()}

    def _predict(self, graph: Graph, apart: Tensor) -> dict[str, Tensor]:
        """Energy and per-atom quantities from the displacements (edges, 3) of the pairs."""
        features = self._features(graph, apart)
        result = {name: head(features).squeeze(1) for name, head in self.heads.items()}
        per_atom = (self.scale_eV * result["energy"]).double() + self.reference_eV.index_select(0, graph.species).double()
        result["energy"] = per_atom.new_zeros(len(graph.cells)).index_add(0, graph.structure, per_atom)
        return result

    def _features(self, graph: Graph, apart: Tensor) -> Tensor:
        """Scalars (atoms, width) after the last layer."""
        distances = apart.norm(dim=1, keepdim=True)
        basis = radial_basis(distances, self.cutoff_A, self.n_radial)
        units = (apart / distances).unsqueeze(2)
        scalars: Tensor = self.embedding(graph.species)
        vectors: Tensor | None = None
        for message, update in zip(self.messages, self.updates):
            scalars, vectors = message(scalars, vectors, basis, units, graph)
            scalars, vectors = update(scalars, vectors)
        return scalars

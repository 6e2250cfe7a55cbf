"""Wrong inputs by the thousand: good documents and files, mutated; and documents drawn from the schema."""

import copy
import io
import json
import math
import shutil
from collections.abc import Iterator
from functools import partial, reduce
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import read, write
from hypothesis import strategies as st
from ruamel.yaml import YAML

from redoxmc.engine.input.schema import json_schema

from .paths import ROOT

SODIUM = {"element": "Na", "species": {"Na+": 1, "Va": 0}}
IRON = {"element": "Fe", "species": {"Fe2+": 2, "Fe3+": {"charge": 3, "proxy": "Ga"}}}
LATTICE = {
    "structure": "good.cif",
    "sublattices": [SODIUM, IRON],
    "spectators": {"P": 5, "O": -2},
    "supercell": [1, 2, 1],
}
TYPED: dict[str, Any] = {
    "title": "typed in",
    "seed": 7,
    "output": "out",
    "lattice": LATTICE,
    "energy": {
        "electrostatics": {"charges": {"Na+": 0.3, "Fe2+": -0.3}, "dielectric": 1.5},
        "points": [{"species": "Na+", "energy_eV": -4.0}],
        "pairs": [
            {"species": ["Na+", "Fe2+"], "r_A": [0, 3.9], "energy_eV": -0.03},
            {"species": ["Na+", "Na+"], "r_A": [0, 4.0], "energy_eV": 0.015},
        ],
    },
    "sampling": {
        "ensemble": "auto",
        "temperature_K": [300, 600],
        "rungs": 8,
        "chemical_potential_eV": {"Na+": {"min": -4.4, "max": -3.6, "points": 5}},
        "vcsgc": {"kappa": "auto", "points": "auto"},
        "walkers": 2,
        "sweeps": {"equilibrate": "auto", "measure": 200},
        "exchange_every": 5,
        "moves": {"swap": 0.5, "neutral_exchange": 0.5, "near_exchange": 0.1},
        "refine": {"temperatures": 2, "tolerance_K": 2.0},
        "second_supercell": [1, 1, 1],
        "walltime_s": 100.0,
    },
    "ground_states": {"enumerate_up_to": 1, "anneal_up_to": 2, "supercells": 2, "searches": 1},
    "analysis": {"reference_energy_eV": {"Na": -1.3}, "compositions": 9, "entropy_compositions": 3, "beside": "other"},
}
FITTED: dict[str, Any] = {
    "output": "out",
    "lattice": LATTICE,
    "energy": {
        "cluster_expansion": {
            "dataset": "good.extxyz",
            "cutoffs_A": [3.5],
            "fit": {"method": "ridge", "validation": "3-fold"},
        }
    },
    "sampling": {"temperature_K": [300, 600]},
}
TRAINED: dict[str, Any] = {
    "output": "out",
    "lattice": {**LATTICE, "supercell": [1, 1, 1]},
    "training": {
        "dataset": ["good.extxyz"],
        "split": {"validation": 0.1, "test": 0.2},
        "potentials": [
            {"name": "a", "model": "cpainn", "epochs": 3, "settings": {"width": 8}, "weights": {"energy": 1.0, "forces": 2.0}},
            {"name": "b", "model": "chgnet", "charge_aware": False, "learning_rate": 0.01, "minutes": 2.0},
        ],
    },
    "evaluation": {"reference": "good.extxyz", "orders": 5, "supercells": [[1, 1, 1], [[1, 0, 0], [0, 1, 1], [0, 0, 2]]]},
}
LEARNED: dict[str, Any] = {
    "output": "out",
    "lattice": {**LATTICE, "supercell": [1, 1, 1]},
    "energy": {"cluster_expansion": {"cutoffs_A": [3.5]}},
    "potential": {"model": "ase.calculators.emt.EMT", "options": {}},
    "relaxation": {
        "largest_force_eV_per_A": 0.05,
        "steps": 10,
        "cell_lengths_A": {0: [9.96, 5.95, 4.86], 1: [10.51, 6.31, 5.02]},
    },
    "label": {
        "configurations": 5,
        "supercells": [[1, 1, 1], [1, 2, 1]],
        "learning": {"rounds": 2, "labels": 2, "supercell": [1, 1, 1], "sweeps": 10, "tolerance_eV": 0.01},
    },
    "sampling": {"temperature_K": [300, 600]},
    "correction": {"supercell": [1, 1, 1], "methods": ["corrected", "enumerated"], "walkers": 2, "proposals": 5},
}
SMOL: dict[str, Any] = {
    "output": "out",
    "lattice": {
        "structure": "layered.cif",
        "sublattices": [
            {"element": "Co", "species": {"Co3+": 3, "Co4+": 4}},
            {"element": "Na", "species": {"Na+": 1, "Va": 0}},
        ],
        "spectators": {"O": -2},
        "supercell": [2, 2, 1],
    },
    "energy": {"cluster_expansion": {"model": "smol.json"}},
    "sampling": {"temperature_K": [300]},
}
DOCUMENTS = {"typed": TYPED, "fitted": FITTED, "trained": TRAINED, "learned": LEARNED, "smol": SMOL}


def write_good_files(folder: Path) -> None:
    """What the documents name: structures, a small data set, an expansion of smol."""
    shutil.copy(ROOT / "inputs/structures/NaFePO4.cif", folder / "good.cif")
    cells = [c for c in read(ROOT / "inputs/nafepo4/labelled.extxyz", ":") if len(c) <= 28]
    write(folder / "good.extxyz", cells[:14], format="extxyz")
    smol = ROOT / "tests/data/importers/smol_layered"
    shutil.copy(smol.with_suffix(".json"), folder / "smol.json")
    known = json.loads(smol.with_suffix(".energies.json").read_text())
    write(folder / "layered.cif", Atoms(known["symbols"], positions=known["positions"], cell=known["cell"], pbc=True))


def as_yaml(document: Any) -> bytes:
    """Of anything, also of what YAML can hold and no input may."""
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(document, stream)
    return stream.getvalue().encode("utf-8", "surrogatepass")


SCALARS: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 7, 10**6, 10**9, 10**18, 2**63, 10**40, -(10**9), 0.0, -0.0, 0.5, -2.5, 1e-300, 1e300, -1e300,
    math.nan, math.inf, -math.inf, "", "auto", "Na", "Na+", "Va", "Fe", "Fe2+", "Fe3+", "K+", "Ga", "P", "O", "X", "Zz", "0", "1.5", "nan",
    "good.cif", "good.extxyz", "smol.json", "input.yaml", "none.cif", ".", "..", "/", "/dev/null", "/dev/zero", "*", "a/" * 300, "x" * 5000,
    "~", "$(rm x)", "<script>", "[bold]", "[/bold]", "{x}", "%s", "\u202eNa", "Na\u207a", "\x00", "\x1b[2J", "\ud800", "é" * 200,
    "mace", "chgnet", "cpainn", "canonical", "semigrand", "10-fold", "99999999999-fold",
]  # fmt: skip
COMPOUND: list[Any] = [
    [], {}, [[]], [None], [0], [1, 1], [1, 1, 1], [10**6, 10**6, 10**6], [10**4, 10**4, 10**4], [100, 100, 100], [-1, 1, 1], [0, 1, 1],
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[9999, 1, 0], [1, 9999, 0], [0, 1, 9999]], [1e300, 2e300],
    list(range(1, 60)), [300.0] * 5, {"Na+": 1, "Va": 0}, {"Na+": 2}, {"Fe2+": 3, "Fe3+": 2}, {"auto": "auto"}, {1: 2}, {"min": 1, "max": 0},
    {"min": -1e9, "max": 1e9, "points": 10**9}, {"a": {"b": {"c": {"d": {}}}}}, {"charge": 3, "proxy": "Na"}, ["Na+", "Fe2+"], [0, 1e9],
    {f"X{k}+": k for k in range(9)}, {f"Q{k}": q for k, q in enumerate((17, -13, 19, 11, -7, 5, -3, 2))},
]  # fmt: skip
VALUES = st.sampled_from(SCALARS) | st.sampled_from(COMPOUND) | st.integers() | st.floats() | st.text(max_size=20)


def places(node: Any, here: tuple = ()) -> Iterator[tuple]:
    """Paths to everything in a document."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*here, key)
        yield from places(value, (*here, key))


def at(document: Any, path: tuple) -> Any:
    return reduce(lambda node, key: node[key], path, document)


def _rename(holder: Any, key: Any, value: Any, other: Any) -> None:
    if isinstance(holder, dict):
        holder[other if isinstance(other, str | int | float | bool) else "other"] = holder.pop(key)
    else:
        holder.insert(0, holder.pop(key))


def _drop(holder: Any, key: Any, value: Any, other: Any) -> None:
    del holder[key]


def _replace(holder: Any, key: Any, value: Any, other: Any) -> None:
    holder[key] = other


def _wrap(holder: Any, key: Any, value: Any, other: Any) -> None:
    holder[key] = [value]


def _twice(holder: Any, key: Any, value: Any, other: Any) -> None:
    if isinstance(holder, list):
        holder.insert(key, copy.deepcopy(value))
    else:
        holder[f"{key}2"] = copy.deepcopy(value)


def _scale(holder: Any, key: Any, value: Any, other: Any) -> None:
    if isinstance(value, int | float):
        holder[key] = value * (1000 if isinstance(other, str) else -1)
    else:
        holder[key] = other


OPERATIONS = (_replace, _replace, _replace, _drop, _rename, _wrap, _twice, _scale)


@st.composite
def mutated_documents(draw: st.DrawFn) -> bytes:
    """A good document with one to three things changed."""
    document = copy.deepcopy(DOCUMENTS[draw(st.sampled_from(sorted(DOCUMENTS)))])
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        paths = list(places(document))
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        other = copy.deepcopy(draw(VALUES | st.sampled_from(paths).map(partial(at, document))))
        draw(st.sampled_from(OPERATIONS))(at(document, path[:-1]), path[-1], at(document, path), other)
    return as_yaml(document)


SCHEMA = json.loads(json_schema())
WORDS = [
    "Na+",
    "Va",
    "Fe2+",
    "Fe3+",
    "Na",
    "Fe",
    "P",
    "O",
    "good.extxyz",
    "good.cif",
    "10-fold",
    "3-fold",
    "auto",
    "mace",
    "ase.calculators.emt.EMT",
    "a",
]


@st.composite
def from_schema(draw: st.DrawFn, schema: Any = None, depth: int = 0) -> Any:
    """What the schema allows, and now and then something else."""
    whole = SCHEMA if schema is None else schema
    if depth and draw(st.integers(0, 79)) == 0:
        return draw(VALUES)
    if "$ref" in whole:
        return draw(from_schema(SCHEMA["$defs"][whole["$ref"].rsplit("/", 1)[1]], depth + 1))
    if options := whole.get("anyOf", whole.get("oneOf")):
        return draw(from_schema(draw(st.sampled_from(options)), depth + 1))
    if "const" in whole or "enum" in whole:
        return draw(st.sampled_from(whole.get("enum", [whole.get("const")])))
    kind = whole.get("type")
    if kind == "object":
        return {name: draw(from_schema(inner, depth + 1)) for name, inner in draw(_keys(whole)).items()}
    if kind == "array":
        low, high = whole.get("minItems", 0), whole.get("maxItems", 3)
        shapes = whole.get("prefixItems") or [whole.get("items", {})] * draw(st.integers(low, max(low, min(high, 3))))
        return [draw(from_schema(inner, depth + 1)) for inner in shapes]
    if kind in ("integer", "number"):
        low, high = whole.get("minimum", whole.get("exclusiveMinimum", -5) + 0.01), whole.get("maximum", 1e6)
        inside = st.integers(math.ceil(low), min(math.ceil(low) + 6, int(high))) if kind == "integer" else st.floats(low, high)
        return draw(inside | inside | st.sampled_from([math.ceil(low), int(high)]))
    return draw(st.booleans() if kind == "boolean" else st.none() if kind == "null" else st.sampled_from(WORDS))


@st.composite
def _keys(draw: st.DrawFn, schema: Any) -> dict[str, Any]:
    """Some of an object's keys, those that it needs among them, each with its schema."""
    known, needed = schema.get("properties", {}), set(schema.get("required", ()))
    chosen = {k: v for k, v in known.items() if k in needed or draw(st.integers(0, 3)) == 0}
    free = schema.get("additionalProperties")
    if isinstance(free, dict):
        chosen |= {draw(st.sampled_from(WORDS[:8])): free for _ in range(draw(st.integers(schema.get("minProperties", 0), 2)))}
    return chosen


@st.composite
def schema_documents(draw: st.DrawFn) -> bytes:
    """Drawn from the schema; lattice, energy and sampling most often those of a good document, so that the rest is looked at too."""
    document = draw(from_schema())
    if isinstance(document, dict):
        good = DOCUMENTS[draw(st.sampled_from(sorted(DOCUMENTS)))]
        kept = [key for key in ("lattice", "energy", "sampling") if key in good and draw(st.integers(0, 4))]
        document |= {key: copy.deepcopy(good[key]) for key in kept}
    return as_yaml(document)


YAML_WORDS = [
    "&a ", "*a", "<<: *a", "<<: ", "!!python/object/apply:os.system ['x']", "!!binary eA==", "!!set {a}", "!!omap [a: 1]", "!x ", "- ",
    "? ", ": ", "[", "]", "{", "}", "'", '"', "|\n", ">\n", "#", "%YAML 9.9\n", "%TAG ! x\n", "---\n", "...\n", "\t", "\r", "\0", "\x1b", "\ufeff",
    "\u2028", "2001-99-99", "2001-01-01", "0x", "0o8", "1_000", "1e999", ".inf", "-.inf", ".nan", "~", "null", "[" * 2000, "{a: " * 2000,
    "- " * 2000, "9" * 6000, "a: &b [*b]\n", "seed: 1\n", "? [1, 2]\n: 3\n", "@", "`", "\\", "\n", "\n\n  ", "= ", "\x85", "😀",
    "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
    "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\ntitle: *g\n",
    "a: &a {x: 1}\nb: &b {<<: [*a,*a,*a,*a,*a,*a,*a,*a]}\nc: &c {<<: [*b,*b,*b,*b,*b,*b,*b,*b]}\nd: &d {<<: [*c,*c,*c,*c,*c,*c,*c,*c]}\n"
    "e: &e {<<: [*d,*d,*d,*d,*d,*d,*d,*d]}\nf: &f {<<: [*e,*e,*e,*e,*e,*e,*e,*e]}\ng: &g {<<: [*f,*f,*f,*f,*f,*f,*f,*f]}\ntitle: *g\n",
]  # fmt: skip
CIF_WORDS = [
    "loop_\n", "data_\n", "data_x\n", "data_x\n_cell_length_a 1\n", ";\n", "'", '"', "_cell_length_a ", "_cell_angle_alpha 0\n", "_symmetry_Int_Tables_number 999\n",
    "_space_group_name_H-M_alt 'F m -3 m'\n", "_symmetry_equiv_pos_as_xyz\n", "x,y,z\n", "-x,x/0,z\n", "'__import__(\"os\")'\n", "?", ".", "nan", "inf", "-1", "0",
    "1e999", "1e-9", "1(999)", "Na", "Xx", "Fe3+", "D", "_atom_site_occupancy\n", "0.5", "# ", "save_\n", "global_\n", "stop_\n", "\0", "\r", "é", "\ufeff", "a" * 3000,
    "$(x)", "0.0001 0.0001 0.0001", "_atom_site_fract_x", "_atom_site_type_symbol", "1 1 1 1 1 1\n",
]  # fmt: skip
XYZ_WORDS = [
    "\n", "0\n", "-3\n", "99999999999\n", "1\n\nNa 0 0 0\n", "nan", "inf", "-inf", "1e999", "1e300", "-9", "0", "1e-300", "Lattice=", 'Lattice="0 0 0 0 0 0 0 0 0"',
    'Lattice="1 0 0 0 1 0 0 0 1"', "Properties=species:S:1:pos:R:3", "Properties=pos:R:3", "Properties=", "energy=", "energy=nan ", "energy=-1e6 ", "energy=x ",
    'energy="1 2 3" ', 'pbc="F F F"', 'pbc="T T"', "config=../../x ", "config=<script> ", 'config="_JSON {}" ', "x=_JSON [", "magmom=", "species:S:1:pos:R:3:forces:R:3",
    "Xx", "K", "Na", "Ga", "Fe", "X", "Va", "1", '"', "'", "\\", "=", "{", "[", "\0", "é", "\t", " ", "free_energy=1 ", "stress=1 ", "a" * 3000,
]  # fmt: skip


def mutated_bytes(good: bytes, words: list[str]) -> st.SearchStrategy[bytes]:
    """One to four spans of a file replaced: by a word of its language, by another span, by any bytes, or by nothing."""
    word = st.sampled_from(words).map(lambda w: w.encode("utf-8"))
    spans = st.integers(0, len(good)).flatmap(lambda a: st.integers(0, 40).map(lambda n: good[a : a + n]))
    piece = word | word | spans | st.binary(max_size=4) | st.just(b"")
    edits = st.lists(
        st.tuples(st.integers(0, len(good)), st.sampled_from((0, 0, 1, 2, 5, 20, 200, 10**6)), piece), min_size=1, max_size=4
    )
    return edits.map(partial(_edited, good))


def _edited(good: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for place, length, piece in edits:
        good = good[:place] + piece + good[place + length :]
    return good

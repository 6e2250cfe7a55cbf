"""Files of which some bytes are wrong: cut, repeated, exchanged, or with words in them that mean something."""

from functools import partial

from hypothesis import strategies as st

YAML_WORDS = [
    "&a ", "*a", "<<: *a", "<<: ", "!!python/object/apply:os.system ['x']", "!!binary eA==", "!!set {a}", "!!omap [a: 1]", "!x ",
        "- ",
    "? ", ": ", "[", "]", "{", "}", "'", '"', "|\n", ">\n", "#", "%YAML 9.9\n", "%TAG ! x\n", "---\n", "...\n", "\t", "\r", "\0",
        "\x1b", "\ufeff",
    "\u2028", "2001-99-99", "2001-01-01", "0x", "0o8", "1_000", "1e999", ".inf", "-.inf", ".nan", "~", "null", "[" * 2000,
        "{a: " * 2000,
    "- " * 2000, "9" * 6000, "a: &b [*b]\n", "seed: 1\n", "? [1, 2]\n: 3\n", "@", "`", "\\", "\n", "\n\n  ", "= ", "\x85", "😀",
    "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
    "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
    "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
    "f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\ntitle: *g\n",
    "a: &a {x: 1}\nb: &b {<<: [*a,*a,*a,*a,*a,*a,*a,*a]}\n"
    "c: &c {<<: [*b,*b,*b,*b,*b,*b,*b,*b]}\nd: &d {<<: [*c,*c,*c,*c,*c,*c,*c,*c]}\n"
    "e: &e {<<: [*d,*d,*d,*d,*d,*d,*d,*d]}\n"
    "f: &f {<<: [*e,*e,*e,*e,*e,*e,*e,*e]}\ng: &g {<<: [*f,*f,*f,*f,*f,*f,*f,*f]}\ntitle: *g\n",
]  # fmt: skip
CIF_WORDS = [
    "loop_\n", "data_\n", "data_x\n", "data_x\n_cell_length_a 1\n", ";\n", "'", '"', "_cell_length_a ", "_cell_angle_alpha 0\n",
        "_symmetry_Int_Tables_number 999\n",
    "_space_group_name_H-M_alt 'F m -3 m'\n", "_symmetry_equiv_pos_as_xyz\n", "x,y,z\n", "-x,x/0,z\n", "'__import__(\"os\")'\n",
        "?", ".", "nan", "inf", "-1", "0",
    "1e999", "1e-9", "1(999)", "Na", "Xx", "Fe3+", "D", "_atom_site_occupancy\n", "0.5", "# ", "save_\n", "global_\n", "stop_\n",
        "\0", "\r", "é", "\ufeff", "a" * 3000,
    "$(x)", "0.0001 0.0001 0.0001", "_atom_site_fract_x", "_atom_site_type_symbol", "1 1 1 1 1 1\n",
]  # fmt: skip
XYZ_WORDS = [
    "\n", "0\n", "-3\n", "99999999999\n", "1\n\nNa 0 0 0\n", "nan", "inf", "-inf", "1e999", "1e300", "-9", "0", "1e-300",
        "Lattice=", 'Lattice="0 0 0 0 0 0 0 0 0"',
    'Lattice="1 0 0 0 1 0 0 0 1"', "Properties=species:S:1:pos:R:3", "Properties=pos:R:3", "Properties=", "energy=",
        "energy=nan ", "energy=-1e6 ", "energy=x ",
    'energy="1 2 3" ', 'pbc="F F F"', 'pbc="T T"', "config=../../x ", "config=<script> ", 'config="_JSON {}" ', "x=_JSON [",
        "magmom=", "species:S:1:pos:R:3:forces:R:3",
    "Xx", "K", "Na", "Ga", "Fe", "X", "Va", "1", '"', "'", "\\", "=", "{", "[", "\0", "é", "\t", " ", "free_energy=1 ",
        "stress=1 ", "a" * 3000,
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

"""Vectors of LANES whole numbers, and words of LANES bits that say in which lanes something holds.

numba turns a loop over lanes into vector instructions, but not the addition of one number where a bit is set, on which all the
rest waits. So that one step is written in LLVM's own terms: it becomes one masked addition per vector register where the
processor has such (AVX-512), a few instructions elsewhere. The sum of a loop then stays in registers.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

LANES = 64

_BITS = ir.IntType(64)
_VECTOR = ir.VectorType(_BITS, LANES)
_MASK = ir.VectorType(ir.IntType(1), LANES)
_ZERO = ir.Constant(_VECTOR, None)
_HANDLE = types.uint64
_WORD = types.uint64


def _pointer(builder, handle):
    return builder.inttoptr(handle, _VECTOR.as_pointer())


def _where(builder, word):
    return builder.bitcast(word, _MASK)


def _vector_of(integer):
    return ir.VectorType(ir.IntType(integer.bitwidth), LANES)


def _everywhere(builder, value):
    undefined = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))


@intrinsic
def new_vector(typing, like):
    """A vector of zeros of the type of an integer, as a handle valid in the calling function."""

    def generate(context, builder, signature, arguments):
        vector = _vector_of(signature.args[0])
        with builder.goto_entry_block():
            place = builder.alloca(vector)
        builder.store(ir.Constant(vector, None), place)
        return builder.ptrtoint(place, _BITS)

    return _HANDLE(like), generate


@intrinsic
def add_where(typing, vector, word, value):
    """vector[r] += value in the lanes r whose bit of the word is set; the value is of the vector's type."""

    def generate(context, builder, signature, arguments):
        handle, word, value = arguments
        kind = _vector_of(signature.args[2])
        place = builder.inttoptr(handle, kind.as_pointer())
        term = builder.select(_where(builder, word), _everywhere(builder, value), ir.Constant(kind, None))
        builder.store(builder.add(builder.load(place), term), place)
        return context.get_dummy_value()

    return types.void(_HANDLE, _WORD, value), generate


@intrinsic
def add_signed(typing, total, field, like, middle, word):
    """total[r] -= middle + field[r] in the lanes of the word, += in the others; the field, of the type of `like`, is set to
    zero.
    """

    def generate(context, builder, signature, arguments):
        total, field, _, middle, word = arguments
        kind = _vector_of(signature.args[2])
        there, here = _pointer(builder, total), builder.inttoptr(field, kind.as_pointer())
        wide = builder.load(here) if kind == _VECTOR else builder.sext(builder.load(here), _VECTOR)
        value = builder.add(wide, _everywhere(builder, middle))
        signed = builder.select(_where(builder, word), builder.sub(_ZERO, value), value)
        builder.store(builder.add(builder.load(there), signed), there)
        builder.store(ir.Constant(kind, None), here)
        return context.get_dummy_value()

    return types.void(_HANDLE, _HANDLE, like, types.int64, _WORD), generate


def _load(context, builder, kind, array, vector):
    data = context.make_array(kind)(context, builder, array).data
    load = builder.load(builder.bitcast(data, vector.as_pointer()))
    load.align = 8
    return load


_INTEGERS, _FLOATS = types.Array(types.int64, 1, "C"), types.Array(types.float64, 1, "C")


@intrinsic
def count_where(typing, counters, row, word):
    """counters[row, r] += 1 in the lanes of the word; counters: int32 (rows, LANES)."""

    def generate(context, builder, signature, arguments):
        array, row, word = arguments
        data = context.make_array(signature.args[0])(context, builder, array).data
        vector = ir.VectorType(ir.IntType(32), LANES)
        place = builder.gep(builder.bitcast(data, vector.as_pointer()), [row])
        load = builder.load(place)
        store = builder.store(builder.add(load, builder.zext(_where(builder, word), vector)), place)
        load.align = store.align = 4
        return context.get_dummy_value()

    return types.void(types.Array(types.int32, 2, "C"), types.int64, _WORD), generate


@intrinsic
def unload(typing, vector, array):
    """Write a vector to an int64 array of at least LANES elements and set it to zero."""

    def generate(context, builder, signature, arguments):
        handle, array = arguments
        data = context.make_array(signature.args[1])(context, builder, array).data
        place = _pointer(builder, handle)
        store = builder.store(builder.load(place), builder.bitcast(data, _VECTOR.as_pointer()))
        store.align = 8
        builder.store(_ZERO, place)
        return context.get_dummy_value()

    return types.void(_HANDLE, _INTEGERS), generate


@intrinsic
def less(typing, left, right):
    """Word of the lanes in which left[r] < right[r]; float64 arrays of at least LANES elements."""

    def generate(context, builder, signature, arguments):
        vector = ir.VectorType(ir.DoubleType(), LANES)
        a, b = (_load(context, builder, kind, array, vector) for kind, array in zip(signature.args, arguments))
        return builder.bitcast(builder.fcmp_ordered("<", a, b), ir.IntType(LANES))

    return _WORD(_FLOATS, _FLOATS), generate


@intrinsic
def power_of_two(typing, exponent):
    """2.0**exponent for a whole exponent in [-1022, 1023]."""

    def generate(context, builder, signature, arguments):
        biased = builder.add(arguments[0], ir.Constant(_BITS, 1023))
        return builder.bitcast(builder.shl(biased, ir.Constant(_BITS, 52)), ir.DoubleType())

    return types.float64(types.int64), generate


@intrinsic
def lowest(typing, word):
    """Number of the lowest bit set."""

    def generate(context, builder, signature, arguments):
        zeros = builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))
        return builder.zext(zeros, _BITS) if LANES < 64 else zeros

    return types.int64(_WORD), generate

"""A hint to the processor that an element of an array will soon be read."""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic


@intrinsic
def prefetch(typing, array, index):
    """Start to load array[index] of a contiguous array (n,); changes nothing."""

    def generate(context, builder, signature, arguments):
        kind = signature.args[0]
        data = context.make_array(kind)(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        signature_of_llvm = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        hint = cgutils.get_or_insert_function(builder.module, signature_of_llvm, "llvm.prefetch.p0")
        builder.call(hint, [place, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate

"""Handing tuples of arrays down by a pointer.

Reading an array from a named tuple would count references, two atomic operations that take longer than the energy of a
cluster, and a tuple handed down by value is copied array by array. A view is a pointer to a tuple on the stack. Its
attributes are those of the tuple: arrays that nobody owns, numbers, and views of inner tuples. `hold` keeps the owners until
there.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic, models, register_model

_ADDRESS = ir.IntType(8).as_pointer()


class ViewType(types.Type):
    """numba's type of a view of a named tuple."""

    def __init__(self, viewed):
        self.viewed = viewed
        super().__init__(f"View({viewed})")


@register_model(ViewType)
class _ViewModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _ADDRESS)


@infer_getattr
class _ViewAttributes(AttributeTemplate):
    key = ViewType

    def generic_resolve(self, view, name):
        if name in view.viewed.fields:
            found = view.viewed.types[view.viewed.fields.index(name)]
            return ViewType(found) if isinstance(found, types.BaseNamedTuple) else found


@lower_getattr_generic(ViewType)
def _read(context, builder, view, address, name):
    index = view.viewed.fields.index(name)
    pointer = builder.bitcast(address, context.get_value_type(view.viewed).as_pointer())
    field, kind = cgutils.gep_inbounds(builder, pointer, 0, index), view.viewed.types[index]
    if isinstance(kind, types.BaseNamedTuple):
        return builder.bitcast(field, _ADDRESS)
    value = builder.load(field)
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = ir.Constant(array.meminfo.type, None)
        value = array._getvalue()
    return value


@intrinsic
def view(typing, values):
    """A view of a copy of a named tuple on the stack of the calling function, which must `hold` the tuple; of a view, the same.

    What lies on a function's own stack is kept in registers; what is read through a pointer from outside cannot be.
    """
    viewed = values.viewed if isinstance(values, ViewType) else values

    def generate(context, builder, signature, arguments):
        value = arguments[0]
        if isinstance(values, ViewType):
            value = builder.load(builder.bitcast(value, context.get_value_type(viewed).as_pointer()))
        return builder.bitcast(cgutils.alloca_once_value(builder, value), _ADDRESS)

    return ViewType(viewed)(values), generate


@intrinsic
def hold(typing, values):
    """Do nothing. What is handed to it is not freed before."""

    def generate(context, builder, signature, arguments):
        return context.get_dummy_value()

    return types.void(values), generate

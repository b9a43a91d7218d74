"""The code of a tile, for this processor or another one."""
import llvmlite.binding
from llvmlite import ir


def write(emit):
    """Returns LLVM's text of a function ``tile`` of six words.

    Args:
        emit (callable): Takes a builder and the six, writes the code.
    """
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(
        ir.VoidType(), [ir.IntType(64)] * 6), 'tile')
    builder = ir.IRBuilder(function.append_basic_block())
    emit(builder, *function.args)
    builder.ret_void()
    return str(module)


def compile_for(processor, emit):
    """Returns the assembly of such a function for an x86 processor."""
    llvmlite.binding.initialize_all_targets()
    llvmlite.binding.initialize_all_asmprinters()
    machine = llvmlite.binding.Target.from_triple(
        'x86_64-unknown-linux-gnu').create_target_machine(
            cpu=processor, opt=3)
    compiled = llvmlite.binding.parse_assembly(write(emit))
    compiled.verify()
    return machine.emit_assembly(compiled)

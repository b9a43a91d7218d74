"""The code of a tile, for this processor or another one."""
import llvmlite.binding
from llvmlite import ir


def write(emit, n_words=6):
    """Returns LLVM's text of a function ``tile`` of some words.

    Args:
        emit (callable): Takes a builder and the words, writes the code.
        n_words (int): How many.
    """
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(
        ir.VoidType(), [ir.IntType(64)] * n_words), 'tile')
    builder = ir.IRBuilder(function.append_basic_block())
    emit(builder, *function.args)
    builder.ret_void()
    return str(module)


def compile_for(processor, emit, n_words=6):
    """Returns the assembly of such a function for an x86 processor."""
    llvmlite.binding.initialize_all_targets()
    llvmlite.binding.initialize_all_asmprinters()
    machine = llvmlite.binding.Target.from_triple(
        'x86_64-unknown-linux-gnu').create_target_machine(
            cpu=processor, opt=3)
    compiled = llvmlite.binding.parse_assembly(
        write(emit, n_words))
    compiled.verify()
    return machine.emit_assembly(compiled)

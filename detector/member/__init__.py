"""Names the member behind a memory access: types flow through a function's code.

In: a function's code, the kernel's symbols and types. Out: for each access of memory through a
register the struct and member that it touches, through which pointer, and how that is known. Pure.
Names come from declarations alone (prototypes, members, variables), never from a function's name.
"""
